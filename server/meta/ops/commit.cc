// commit: uploaded chunks become part of files.
#include <algorithm>

#include "common/rpc/protocol.h"
#include "server/meta/ops/conversions.h"
#include "server/meta/ops/extent_map.h"
#include "server/meta/ops/inodes.h"
#include "server/meta/ops/missing_copies.h"
#include "server/meta/ops/operations.h"
#include "server/meta/ops/xattrs.h"

namespace dfs::ops {
namespace {

// Asks the directory once for runs of extents of one group, as clients send them.
class KnownGroups {
 public:
  explicit KnownGroups(const GroupDirectory& groups) : groups_(groups) {}
  bool knows(GroupId group) {
    if (group != last_) {
      if (!groups_.knows(group)) return false;
      last_ = group;
    }
    return true;
  }

 private:
  const GroupDirectory& groups_;
  GroupId last_;  // 0 is no group's id
};

Result<void> check_extent(const Extent& extent, KnownGroups& groups) {
  if (extent.length == 0) return fail(Errc::invalid, "an extent is empty");
  if (extent.file_offset > kFileSizeMax - extent.length)
    return fail(Errc::invalid, "an extent ends behind the largest offset");
  if (extent.length > kChunkSizeMax || extent.chunk_offset > kChunkSizeMax - extent.length)
    return fail(Errc::invalid, "an extent ends behind the end of its chunk");
  if (extent.chunk.serial() == 0 || !groups.knows(extent.chunk.group()))
    return fail(Errc::invalid, "an extent names chunk " + to_string(extent.chunk) +
                                   ", whose group is unknown");
  return {};
}

Result<void> check(const OperationContext& context, const CommitArgs& args) {
  KnownGroups groups(context.groups);
  std::size_t extents = 0;
  for (const CommitFile& file : args.files) {
    extents += file.extents.size() + file.holes.size();
    if (extents > kExtentsPerCommitMax)
      return fail(Errc::invalid, "a commit has too many extents");
    if (file.size_at_least > kFileSizeMax) return fail(Errc::file_too_big);
    for (const Extent& extent : file.extents) TRY(check_extent(extent, groups));
  }
  for (const ChunkPlacement& placement : args.placements)
    if (!groups.knows(placement.chunk.group()))
      return fail(Errc::invalid, "a placement names chunk " + to_string(placement.chunk) +
                                     ", whose group is unknown");
  return {};
}

// [offset, offset + length), cut where files end for good.
FileSpan span_of(const FileRange& range) {
  const std::uint64_t from = std::min(range.offset, kFileSizeMax);
  return {from, from + std::min(range.length, kFileSizeMax - from)};
}

Result<void> commit_file(Transaction& txn, const OperationContext& context,
                         const CommitFile& file, InodeRecord& record,
                         ChunkReferences& references) {
  if (!record.is_regular()) return fail(Errc::invalid, "only a regular file has contents");
  if (file.only_if && *file.only_if != record.data_change)
    return fail(Errc::stale_epoch, "somebody else has changed the file meanwhile");
  // Even what replaces something is refused: it takes a new chunk first.
  if (!file.extents.empty()) TRY(check_room(context));
  const std::uint64_t size = record.size;
  for (const FileRange& hole : file.holes)
    TRY(punch_hole(txn, file.inode, record, span_of(hole), references));
  for (const Extent& extent : file.extents)
    TRY(lay_extent(txn, file.inode, record, extent, references));
  // A client may not know yet that other copies are asked for.
  TRY(check_copies(txn, context, file.inode, record, file.extents));
  record.size = std::max(record.size, file.size_at_least);
  if (!file.extents.empty() || !file.holes.empty() || record.size != size) {
    ++record.data_change;
    TRY(drop_capability(txn, file.inode, record));
  }

  if (file.clear_set_id) clear_set_id_bits(record);
  if (file.mtime) {
    written_at(record, *file.mtime);
  } else if (file.clear_set_id) {
    record.ctime = context.now;
  }
  ++record.change;
  return {};
}

// The copies that members lack, of chunks that are in use now.
Result<void> note_missing_copies(Transaction& txn, const OperationContext& context,
                                 const ChunkPlacement& placement) {
  const ChunkRecord* chunk = TRY(txn.find<tables::Chunks>(placement.chunk));
  if (chunk == nullptr || placement.missing_on.empty()) return {};
  const std::vector<ServerId> members = context.groups.members_of(placement.chunk.group());
  for (const ServerId server : placement.missing_on) {
    // Who has left the group meanwhile does not need the copy.
    if (std::find(members.begin(), members.end(), server) == members.end()) continue;
    TRY(note_missing(txn, context.totals, server, placement.chunk, chunk->length));
  }
  return {};
}

}  // namespace

Result<CommitResult> commit(Transaction& txn, const OperationContext& context,
                            const CommitArgs& args) {
  TRY(check(context, args));
  ChunkReferences references;
  CommitResult result;
  result.attributes.reserve(args.files.size());
  for (const CommitFile& file : args.files) {
    Result<InodeRecord*> record = edit_inode(txn, context, file.inode);
    if (!record && record.error().code == Errc::stale) {
      for (const Extent& extent : file.extents)
        references.mention(extent.chunk, extent.chunk_offset + extent.length);
      continue;
    }
    InodeRecord* present = TRY(std::move(record));
    TRY(commit_file(txn, context, file, *present, references));
    result.attributes.push_back(attributes_of(file.inode, *present));
  }
  TRY(references.apply(txn, context));
  for (const ChunkPlacement& placement : args.placements)
    TRY(note_missing_copies(txn, context, placement));
  return result;
}

}  // namespace dfs::ops
