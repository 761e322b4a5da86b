#include "server/meta/fsck/content_check.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace dfs::fsck {

Result<void> ContentCheck::first() {
  TRY(extents_.first());
  return xattrs_.first();
}

std::optional<InodeId> ContentCheck::next() const {
  if (!extents_.valid() && !xattrs_.valid()) return std::nullopt;
  if (!extents_.valid()) return xattrs_.key().inode;
  if (!xattrs_.valid()) return extents_.key().inode;
  return std::min(extents_.key().inode, xattrs_.key().inode);
}

Result<void> ContentCheck::check(const Subject& subject) {
  Extents sum;
  while (extents_.valid() && extents_.key().inode == subject.inode) {
    TRY(check_extent(subject, sum));
    TRY(extents_.next());
  }
  if (subject.record) TRY(check_file(subject, sum));
  return check_xattrs(subject);
}

// `about` says where; the sentence begins with the path.
Result<void> ContentCheck::found(const Subject& subject, Problem problem, const std::string& what,
                                 Finding about) {
  const std::string path = TRY(paths_.of(subject.inode));
  about.problem = problem;
  about.text = fmt::format("{} {}", path, what);
  about.inode = subject.inode;
  return sink_.found(std::move(about));
}

Result<void> ContentCheck::check_extent(const Subject& subject, Extents& sum) {
  const ExtentRecord* extent = extents_.record();
  const std::uint64_t offset = extents_.key().offset;
  if (extent == nullptr || subject.is_unreadable()) sum.whole = false;
  if (extent == nullptr)
    return found(subject, Problem::unreadable_row,
                 fmt::format("cannot be read at {}: the record of the extent there does not hold", offset),
                 Finding{});
  if (subject.is_unreadable()) return {};
  const std::uint64_t end = offset + extent->length;
  Finding about{.problem = Problem::extent_of_nothing, .offset = offset, .chunk = extent->chunk};
  if (!subject.record || !subject.record->is_regular()) {
    about.mendable = !subject.record;
    return found(subject, Problem::extent_of_nothing,
                 fmt::format("is no file, but has bytes at {} in chunk {}", offset,
                             to_string(extent->chunk)),
                 std::move(about));
  }
  if (offset < sum.end)
    TRY(found(subject, Problem::extents_overlap,
              fmt::format("has bytes {} to {} twice, in two chunks; which ones are right is not known",
                          offset, std::min(end, sum.end)),
              about));
  if (end > subject.record->size)
    TRY(found(subject, Problem::extent_beyond_size,
              fmt::format("has bytes up to {}, but is {} bytes long", end, subject.record->size), about));
  sum.allocated += extent->length;
  sum.end = std::max(sum.end, end);
  return check_chunk(subject, *extent);
}

// Whether the chunk has a row is seen when references are counted.
Result<void> ContentCheck::check_chunk(const Subject& subject, const ExtentRecord& extent) {
  const std::uint64_t offset = extents_.key().offset;
  const std::uint64_t chunk_end = std::uint64_t{extent.chunk_offset} + extent.length;
  if (facts_.servers_are_whole && !facts_.groups.contains(extent.chunk.group()))
    TRY(found(subject, Problem::extent_of_unknown_group,
              fmt::format("cannot be read at {}: chunk {} is of a group that does not exist", offset,
                          to_string(extent.chunk)),
              {.problem = {}, .offset = offset, .chunk = extent.chunk}));
  const bool is_there = TRY(chunks_.find(extent.chunk));
  if (!is_there || chunks_.record() == nullptr || chunk_end <= chunks_.record()->length) return {};
  return found(subject, Problem::extent_beyond_chunk,
               fmt::format("uses bytes up to {} of chunk {}, which is noted as {} bytes long", chunk_end,
                           to_string(extent.chunk), chunks_.record()->length),
               {.problem = {}, .mendable = chunk_end <= kChunkSizeMax,
                .offset = offset,
                .chunk = extent.chunk,
                .length = static_cast<std::uint32_t>(std::min<std::uint64_t>(chunk_end, kChunkSizeMax))});
}

Result<void> ContentCheck::check_file(const Subject& subject, const Extents& sum) {
  const InodeRecord& record = *subject.record;
  if (sum.whole && record.allocated != sum.allocated)
    TRY(found(subject, Problem::wrong_allocated,
              fmt::format("counts {} bytes in chunks, but has {}", record.allocated, sum.allocated),
              {.problem = {}, .mendable = true, .delta = static_cast<std::int64_t>(sum.allocated - record.allocated)}));
  if (record.type == FileType::symlink && record.size != record.target.size())
    TRY(found(subject, Problem::wrong_size,
              fmt::format("is a symlink of {} bytes, but counts {}", record.target.size(), record.size),
              {.problem = {}, .mendable = true}));
  if (record.is_regular() && record.size > kFileSizeMax)
    TRY(found(subject, Problem::wrong_size,
              fmt::format("is {} bytes long, more than a file can be", record.size), Finding{}));
  return {};
}

Result<void> ContentCheck::check_xattrs(const Subject& subject) {
  std::uint32_t count = 0;
  while (xattrs_.valid() && xattrs_.key().inode == subject.inode) {
    ++count;
    if (!subject.exists)
      TRY(sink_.found({.problem = Problem::xattr_of_nothing,
                       .text = fmt::format("inode {} does not exist, but has the extended attribute {}",
                                           subject.inode.value(), xattrs_.key().name),
                       .mendable = true,
                       .inode = subject.inode,
                       .name = xattrs_.key().name}));
    TRY(xattrs_.next());
  }
  if (!subject.record || subject.record->xattrs == count) return {};
  return found(subject, Problem::wrong_xattrs,
               fmt::format("counts {} extended attributes, but has {}", subject.record->xattrs, count),
               {.problem = {}, .mendable = true, .delta = std::int64_t{count} - subject.record->xattrs});
}

}  // namespace dfs::fsck
