// clone: a range of one file becomes part of another, without its bytes.
#include <algorithm>

#include "server/meta/ops/conversions.h"
#include "server/meta/ops/extent_map.h"
#include "server/meta/ops/inodes.h"
#include "server/meta/ops/operations.h"
#include "server/meta/ops/xattrs.h"

namespace dfs::ops {
namespace {

Result<void> check_regular(const InodeRecord& record) {
  if (record.is_directory()) return fail(Errc::is_directory);
  if (!record.is_regular()) return fail(Errc::invalid, "only a regular file has contents");
  return {};
}

// `length` is what the source has of args.length.
Result<void> check(const CloneArgs& args, std::uint64_t length, const InodeRecord& source,
                   const InodeRecord& target) {
  if (args.offset > kFileSizeMax - length) return fail(Errc::file_too_big);
  const bool overlap = args.source == args.inode && args.offset < args.source_offset + length &&
                       args.source_offset < args.offset + length;
  if (overlap) return fail(Errc::invalid, "the ranges overlap");
  // The clone would have the source's copies, not those its own policy asks for.
  if (source.replicas != target.replicas)
    return fail(Errc::unsupported, "the files are kept in different numbers of copies");
  return {};
}

// The extents of `span`, as many as an operation takes; the span ends with them.
Result<std::vector<Extent>> first_extents(Transaction& txn, InodeId inode,
                                          const InodeRecord& file, FileSpan& span) {
  ExtentPage page = TRY(read_extents(txn, inode, file, span, kExtentsPerCloneMax));
  if (!page.complete) span.to = std::min(span.to, page.extents.back().end());
  return std::move(page.extents);
}

// The part of `extent` in `span`, at args.offset for what is at args.source_offset.
Extent moved(const CloneArgs& args, const Extent& extent, FileSpan span) {
  const std::uint64_t from = std::max(extent.file_offset, span.from);
  const std::uint64_t to = std::min(extent.end(), span.to);
  return {args.offset + (from - args.source_offset), static_cast<std::uint32_t>(to - from),
          extent.chunk,
          extent.chunk_offset + static_cast<std::uint32_t>(from - extent.file_offset)};
}

Result<void> lay(Transaction& txn, const OperationContext& context, const CloneArgs& args,
                 const std::vector<Extent>& extents, FileSpan source, InodeRecord& target) {
  const std::uint64_t end = args.offset + (source.to - source.from);
  ChunkReferences references;
  TRY(punch_hole(txn, args.inode, target, {args.offset, end}, references));
  for (const Extent& extent : extents) {
    if (extent.file_offset >= source.to) break;
    const Extent piece = moved(args, extent, source);
    // A file that is cloned piece by piece shall not lie in pieces.
    if (&extent == &extents.front()) {
      const bool joined = TRY(prolong(txn, args.inode, target, piece));
      if (joined) continue;
    }
    fill_hole(txn, args.inode, target, piece, references);
  }
  target.size = std::max(target.size, end);
  TRY(check_copies(txn, context, args.inode, target, extents));
  return references.apply(txn, context);
}

}  // namespace

Result<CloneResult> clone(Transaction& txn, const OperationContext& context,
                          const CloneArgs& args) {
  const InodeRecord* source = TRY(find_inode(txn, context, args.source));
  InodeRecord* target = TRY(edit_inode(txn, context, args.inode));
  TRY(check_regular(*source));
  TRY(check_regular(*target));
  const std::uint64_t left = source->size - std::min(source->size, args.source_offset);
  const std::uint64_t length = std::min(args.length, left);
  if (length == 0) return CloneResult{attributes_of(args.inode, *target), 0};
  TRY(check(args, length, *source, *target));

  FileSpan to{args.offset, args.offset + length};
  TRY(first_extents(txn, args.inode, *target, to));
  FileSpan from{args.source_offset, args.source_offset + (to.to - to.from)};
  const std::vector<Extent> extents = TRY(first_extents(txn, args.source, *source, from));
  if (!extents.empty()) TRY(check_room(context));
  TRY(lay(txn, context, args, extents, from, *target));

  ++target->data_change;
  ++target->change;
  if (args.clear_set_id) clear_set_id_bits(*target);
  TRY(drop_capability(txn, args.inode, *target));
  written_at(*target, args.mtime);
  return CloneResult{attributes_of(args.inode, *target), from.to - from.from};
}

}  // namespace dfs::ops
