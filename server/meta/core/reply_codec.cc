#include "server/meta/core/reply_codec.h"

#include "common/rpc/convert.h"

namespace dfs {

std::string encode_reply(const MetaResult& result) {
  v1::Response message;
  to_proto(Result<MetaResult>(result), message);
  return message.SerializeAsString();
}

Result<MetaResult> decode_reply(std::string_view bytes) {
  v1::Response message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return fail(Errc::corrupt, "a stored reply does not parse");
  return from_proto(std::move(message));
}

}  // namespace dfs
