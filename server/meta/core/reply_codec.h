// The form in which the reply to a mutation is kept for repeats: what would
// have gone over the wire.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/rpc/meta_api.h"

namespace dfs {

// `change`: as v1::Response has it.
std::string encode_reply(const MetaResult& result, std::uint64_t change);
// `corrupt` if `bytes` are no such reply.
Result<MetaResult> decode_reply(std::string_view bytes);
// 0 in replies that were kept before changes were counted.
Result<std::uint64_t> change_of_reply(std::string_view bytes);

}  // namespace dfs
