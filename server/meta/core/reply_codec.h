// The form in which the reply to a mutation is kept for repeats: what would
// have gone over the wire.
#pragma once

#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/rpc/meta_api.h"

namespace dfs {

std::string encode_reply(const MetaResult& result);
// `corrupt` if `bytes` are no such reply.
Result<MetaResult> decode_reply(std::string_view bytes);

}  // namespace dfs
