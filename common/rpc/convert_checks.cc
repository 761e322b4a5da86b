#include "common/rpc/convert_checks.h"

#include <utility>

namespace dfs::convert {

tl::unexpected<Error> bad(std::string sentence) {
  return fail(Errc::bad_message, std::move(sentence));
}

Result<InodeId> inode(std::uint64_t value) {
  if (value == 0) return bad("an inode number is missing");
  return InodeId{value};
}

Result<ServerId> server(std::uint32_t value) {
  if (value == 0) return bad("a server's number is missing");
  return ServerId{value};
}

Result<GroupId> group(std::uint32_t value) {
  if (value == 0 || value >= (std::uint32_t{1} << 24))
    return bad(fmt::format("{} is no group", value));
  return GroupId{value};
}

Result<ChunkId> chunk(std::uint64_t value) {
  const ChunkId id{value};
  if (id.group().value() == 0 || id.serial() == 0)
    return bad(fmt::format("{:#x} is no chunk id", value));
  return id;
}

Result<std::uint32_t> mode(std::uint32_t value) {
  if (value > 07777) return bad(fmt::format("{:o} are no permission bits", value));
  return value;
}

Result<std::uint64_t> file_size(std::uint64_t value) {
  if (value > kFileSizeMax) return bad("a size or an offset does not fit 63 bits");
  return value;
}

Result<std::uint32_t> replicas(std::uint32_t value) {
  if (value > 64) return bad(fmt::format("{} copies are too many", value));
  return value;
}

Result<FileRange> range(std::uint64_t offset, std::uint64_t length) {
  if (length == 0) return bad("a range of a file is empty");
  if (offset > kFileSizeMax || length > kFileSizeMax - offset)
    return bad("a range of a file ends beyond 63 bits");
  return FileRange{offset, length};
}

Result<void> check_in_chunk(std::uint32_t offset, std::uint32_t length) {
  if (length == 0 || length > kChunkSizeMax || offset > kChunkSizeMax - length)
    return bad("a range of a chunk is empty or ends beyond the largest chunk");
  return {};
}

Result<void> check_count(std::string_view what, std::int64_t count, std::int64_t most) {
  if (count > most) return bad(fmt::format("{} {}, more than {}", count, what, most));
  return {};
}

Result<void> check_length(std::string_view what, std::size_t size, std::size_t most) {
  if (size > most) return bad(fmt::format("{} has {} bytes, more than {}", what, size, most));
  return {};
}

}  // namespace dfs::convert
