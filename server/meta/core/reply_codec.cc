#include "server/meta/core/reply_codec.h"

#include "common/rpc/convert.h"

namespace dfs {
namespace {

Result<v1::Response> parse(std::string_view bytes) {
  v1::Response message;
  if (message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return message;
  return fail(Errc::corrupt, "a stored reply does not parse");
}

}  // namespace

std::string encode_reply(const MetaResult& result, std::uint64_t change) {
  v1::Response message;
  message.set_change(change);
  to_proto(Result<MetaResult>(result), message);
  return message.SerializeAsString();
}

Result<MetaResult> decode_reply(std::string_view bytes) {
  v1::Response message = TRY(parse(bytes));
  return from_proto(std::move(message));
}

Result<std::uint64_t> change_of_reply(std::string_view bytes) {
  const v1::Response message = TRY(parse(bytes));
  return message.change();
}

}  // namespace dfs
