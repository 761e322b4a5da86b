// Findings about extents, chunks and garbage.
#include <algorithm>

#include <fmt/format.h>

#include "server/meta/fsck/mend_steps.h"
#include "server/meta/ops/missing_copies.h"

namespace dfs::fsck {
namespace {

using Done = std::optional<std::string>;

// An extent without an inode: nothing can be read of it.
Result<Done> mend_extent(MendContext& context, const Finding& finding) {
  const ExtentKey key{finding.inode, finding.offset};
  const ExtentRecord* extent = TRY(readable<tables::Extents>(context.txn, key));
  if (extent == nullptr || extent->chunk != finding.chunk) return Done{};
  const InodeRecord* inode = TRY(context.txn.find<tables::Inodes>(finding.inode));
  if (inode != nullptr) return Done{};
  context.txn.erase<tables::Extents>(key);
  TRY(drop_reference(context, finding.chunk));
  return "removed the extent";
}

Result<Done> mend_chunk_length(MendContext& context, const Finding& finding) {
  ChunkRecord* chunk = TRY(context.txn.edit<tables::Chunks>(finding.chunk));
  if (chunk == nullptr || chunk->length >= finding.length) return Done{};
  context.row.totals().chunk_bytes += finding.length - chunk->length;
  chunk->length = finding.length;
  return "noted it as that long";
}

// Some of the members may have deleted it by now: they are to look.
Result<bool> rescue_from_garbage(MendContext& context, ChunkId chunk, std::uint32_t length) {
  auto found = context.txn.find<tables::Garbage>(chunk);
  const bool does_not_hold = !found && found.error().code == Errc::corrupt;
  if (!found && !does_not_hold) return fail(found.error());
  if (!does_not_hold && *found == nullptr) return false;
  Totals& totals = context.row.totals();
  context.txn.erase<tables::Garbage>(chunk);
  totals.garbage = corrected(totals.garbage, -1);
  const GroupRecord* group = TRY(readable<tables::Groups>(context.txn, chunk.group()));
  if (group == nullptr) return true;
  for (const GroupMember& member : group->members)
    TRY(ops::note_missing(context.txn, totals, member.server, chunk, length));
  return true;
}

Result<Done> mend_missing_chunk_row(MendContext& context, const Finding& finding) {
  const ChunkRecord* present = TRY(readable<tables::Chunks>(context.txn, finding.chunk));
  if (present != nullptr) return Done{};
  context.txn.put<tables::Chunks>(finding.chunk, {finding.length, finding.count});
  Totals& totals = context.row.totals();
  ++totals.chunks;
  totals.chunk_bytes += finding.length;
  const bool rescued = TRY(rescue_from_garbage(context, finding.chunk, finding.length));
  return rescued ? "noted it as in use; it was to be deleted, and is copied where that has happened"
                 : "noted it as in use";
}

Result<Done> mend_references(MendContext& context, const Finding& finding) {
  ChunkRecord* chunk = TRY(context.txn.edit<tables::Chunks>(finding.chunk));
  if (chunk == nullptr) return Done{};
  chunk->references = corrected(chunk->references, finding.delta);
  if (chunk->references > 0) return "corrected the number";
  TRY(make_garbage(context, finding.chunk, chunk->length));
  return "it is deleted: nothing uses it";
}

Result<Done> mend_unused(MendContext& context, const Finding& finding) {
  const auto found = context.txn.find<tables::Chunks>(finding.chunk);
  if (found) return Done{};
  if (found.error().code != Errc::corrupt) return fail(found.error());
  TRY(make_garbage(context, finding.chunk, 0));
  return "it is deleted";
}

Result<Done> mend_used_garbage(MendContext& context, const Finding& finding) {
  const ChunkRecord* chunk = TRY(context.txn.find<tables::Chunks>(finding.chunk));
  if (chunk == nullptr || chunk->references == 0) return Done{};
  const bool rescued = TRY(rescue_from_garbage(context, finding.chunk, chunk->length));
  if (!rescued) return Done{};
  return "it is not deleted any more, and is copied where that has happened";
}

Result<Done> mend_garbage(MendContext& context, const Finding& finding) {
  GarbageRecord* garbage = TRY(context.txn.edit<tables::Garbage>(finding.chunk));
  if (garbage == nullptr) return Done{};
  std::vector<ServerId> known;
  for (const ServerId server : garbage->servers) {
    const ServerRecord* record = TRY(context.txn.find<tables::Servers>(server));
    if (record != nullptr) known.push_back(server);
  }
  garbage->servers = known;
  if (!known.empty()) return "that one is not waited for any more";
  context.txn.erase<tables::Garbage>(finding.chunk);
  Totals& totals = context.row.totals();
  totals.garbage = corrected(totals.garbage, -1);
  return "it is not waited for any more";
}

Result<Done> mend_missing_copy(MendContext& context, const Finding& finding) {
  const ServerRecord* server = TRY(context.txn.find<tables::Servers>(finding.server));
  if (server != nullptr) return Done{};
  TRY(ops::forget_missing(context.txn, context.row.totals(), finding.server, finding.chunk));
  return "forgot that copy";
}

Result<Done> mend_next_chunk(MendContext& context, const Finding& finding) {
  GroupRecord* group = TRY(context.txn.edit<tables::Groups>(finding.chunk.group()));
  if (group == nullptr || group->next_chunk > finding.chunk.serial()) return Done{};
  group->next_chunk = finding.chunk.serial() + 1;
  return "corrected that";
}

}  // namespace

Result<Done> mend_chunks(MendContext& context, const Finding& finding) {
  switch (finding.problem) {
    case Problem::extent_of_nothing: return mend_extent(context, finding);
    case Problem::extent_beyond_chunk: return mend_chunk_length(context, finding);
    case Problem::missing_chunk_row: return mend_missing_chunk_row(context, finding);
    case Problem::wrong_references: return mend_references(context, finding);
    case Problem::unused_chunk: return mend_unused(context, finding);
    case Problem::used_garbage: return mend_used_garbage(context, finding);
    case Problem::garbage_of_nobody: return mend_garbage(context, finding);
    case Problem::missing_of_nobody: return mend_missing_copy(context, finding);
    case Problem::chunk_given_again: return mend_next_chunk(context, finding);
    default: return Done{};
  }
}

}  // namespace dfs::fsck
