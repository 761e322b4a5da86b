// The rules that several messages share. For the convert*.cc and
// storage_messages.cc only. Every broken rule is `bad_message`.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/rpc/meta_api.h"
#include "common/rpc/protocol.h"

namespace dfs::convert {

tl::unexpected<Error> bad(std::string sentence);

Result<InodeId> inode(std::uint64_t value);
Result<ServerId> server(std::uint32_t value);
Result<GroupId> group(std::uint32_t value);
Result<ChunkId> chunk(std::uint64_t value);
Result<std::uint32_t> mode(std::uint32_t value);
Result<std::uint64_t> file_size(std::uint64_t value);
// Copies of a chunk; 0 has a meaning of its own.
Result<std::uint32_t> replicas(std::uint32_t value);

// Not empty, and its end is at most kFileSizeMax.
Result<FileRange> range(std::uint64_t offset, std::uint64_t length);

Result<void> check_in_chunk(std::uint32_t offset, std::uint32_t length);
Result<void> check_count(std::string_view what, std::int64_t count, std::int64_t most);
Result<void> check_length(std::string_view what, std::size_t size, std::size_t most);

}  // namespace dfs::convert
