#include "server/meta/ops/extent_map.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "server/meta/ops/missing_copies.h"

namespace dfs::ops {
namespace {

// Rows handled at a time where a file may have any number.
constexpr std::size_t kPage = 1024;

std::uint64_t end_of(const Row<tables::Extents>& row) {
  return row.key.offset + row.record.length;
}

Extent extent_of(const Row<tables::Extents>& row) {
  return {row.key.offset, row.record.length, row.record.chunk, row.record.chunk_offset};
}

// The part of `row` from `from` on. Both are inside the same chunk, so the
// difference fits 32 bits.
void put_tail(Transaction& txn, InodeId inode, const Row<tables::Extents>& row,
              std::uint64_t from) {
  const auto skipped = static_cast<std::uint32_t>(from - row.key.offset);
  txn.put<tables::Extents>({inode, from}, {row.record.length - skipped, row.record.chunk,
                                           row.record.chunk_offset + skipped});
}

// The extent that starts before `offset` and reaches beyond it.
Result<std::optional<Row<tables::Extents>>> extent_across(Transaction& txn, InodeId inode,
                                                          std::uint64_t offset) {
  std::optional<Row<tables::Extents>> row =
      TRY(txn.last_row<tables::Extents>({inode, 0}, {inode, offset}));
  if (row && end_of(*row) <= offset) row.reset();
  return row;
}

}  // namespace

// --- references ------------------------------------------------------------------------

Result<void> ChunkReferences::apply(Transaction& txn, const OperationContext& context) {
  std::sort(changes_.begin(), changes_.end(),
            [](const Change& a, const Change& b) { return a.chunk < b.chunk; });
  for (auto change = changes_.begin(); change != changes_.end();) {
    Change sum = *change;
    for (++change; change != changes_.end() && change->chunk == sum.chunk; ++change) {
      sum.references += change->references;
      sum.end = std::max(sum.end, change->end);
    }
    TRY(apply_one(txn, context, sum));
  }
  changes_.clear();
  return {};
}

Result<void> ChunkReferences::apply_one(Transaction& txn, const OperationContext& context,
                                        const Change& change) {
  const ChunkId chunk = change.chunk;
  ChunkRecord* record = TRY(txn.edit<tables::Chunks>(chunk));
  std::int64_t references = change.references;
  std::uint32_t length = change.end;
  if (record != nullptr) {
    references += record->references;
    length = std::max(length, record->length);
  }
  if (references < 0)
    return fail(Errc::corrupt, "chunk " + to_string(chunk) + " has lost count of its references");

  if (references > std::numeric_limits<std::uint32_t>::max())
    return fail(Errc::unsupported, "chunk " + to_string(chunk) + " is named too often");
  if (references > 0) {
    if (record == nullptr) {
      const GarbageRecord* garbage = TRY(txn.find<tables::Garbage>(chunk));
      if (garbage != nullptr)
        return fail(Errc::stale, "chunk " + to_string(chunk) + " is being deleted");
      if (chunk.serial() < context.groups.given_up_below(chunk.group()))
        return fail(Errc::io, "chunk " + to_string(chunk) +
                                  " was named too long ago: it has been given up");
      for (const ServerId server : context.groups.late_members_of(chunk.group()))
        TRY(note_missing(txn, context.totals, server, chunk, length));
      record = &txn.put<tables::Chunks>(chunk, {});
      ++context.totals.chunks;
    }
    context.totals.chunk_bytes += length - record->length;
    record->length = length;
    record->references = static_cast<std::uint32_t>(references);
    return {};
  }
  if (record != nullptr) {
    --context.totals.chunks;
    context.totals.chunk_bytes -= record->length;
    txn.erase<tables::Chunks>(chunk);
  } else {
    // Garbage already: some members may have deleted it.
    const GarbageRecord* garbage = TRY(txn.find<tables::Garbage>(chunk));
    if (garbage != nullptr) return {};
  }
  std::vector<ServerId> servers = context.groups.members_of(chunk.group());
  if (servers.empty()) return {};
  ++context.totals.garbage;
  txn.put<tables::Garbage>(chunk, {std::move(servers), length});
  return {};
}

// --- changing ----------------------------------------------------------------------------

Result<void> punch_hole(Transaction& txn, InodeId inode, InodeRecord& file, FileSpan span,
                        ChunkReferences& references) {
  // No extent reaches beyond the size: appending looks at nothing.
  if (file.allocated == 0 || span.from >= file.size || span.from >= span.to) return {};

  const std::optional<Row<tables::Extents>> across = TRY(extent_across(txn, inode, span.from));
  if (across) {
    const std::uint64_t end = end_of(*across);
    if (end > span.to) {
      put_tail(txn, inode, *across, span.to);
      references.add(across->record.chunk, across->record.chunk_offset + across->record.length);
    }
    ExtentRecord head = across->record;
    head.length = static_cast<std::uint32_t>(span.from - across->key.offset);
    txn.put<tables::Extents>(across->key, head);
    file.allocated -= std::min(end, span.to) - span.from;
  }
  while (true) {
    const std::vector<Row<tables::Extents>> rows = TRY(
        txn.rows<tables::Extents>({inode, span.from}, {inode, span.to}, kPage));
    for (const auto& row : rows) {
      const std::uint64_t end = end_of(row);
      txn.erase<tables::Extents>(row.key);
      if (end > span.to)
        put_tail(txn, inode, row, span.to);
      else
        references.drop(row.record.chunk);
      file.allocated -= std::min(end, span.to) - row.key.offset;
    }
    if (rows.size() < kPage) return {};
  }
}

void fill_hole(Transaction& txn, InodeId inode, InodeRecord& file, const Extent& extent,
               ChunkReferences& references) {
  txn.put<tables::Extents>({inode, extent.file_offset},
                           {extent.length, extent.chunk, extent.chunk_offset});
  references.add(extent.chunk, extent.chunk_offset + extent.length);
  file.allocated += extent.length;
  file.size = std::max(file.size, extent.end());
}

Result<bool> prolong(Transaction& txn, InodeId inode, InodeRecord& file, const Extent& extent) {
  const std::optional<Row<tables::Extents>> before =
      TRY(txn.last_row<tables::Extents>({inode, 0}, {inode, extent.file_offset}));
  const bool goes_on = before && end_of(*before) == extent.file_offset &&
                       before->record.chunk == extent.chunk &&
                       before->record.chunk_offset + before->record.length == extent.chunk_offset;
  if (!goes_on) return false;
  ExtentRecord longer = before->record;
  longer.length += extent.length;
  txn.put<tables::Extents>(before->key, longer);
  file.allocated += extent.length;
  file.size = std::max(file.size, extent.end());
  return true;
}

Result<void> lay_extent(Transaction& txn, InodeId inode, InodeRecord& file, const Extent& extent,
                        ChunkReferences& references) {
  TRY(punch_hole(txn, inode, file, {extent.file_offset, extent.end()}, references));
  fill_hole(txn, inode, file, extent, references);
  return {};
}

Result<Purge> drop_extents(Transaction& txn, const OperationContext& context, InodeId inode,
                           InodeRecord& file, std::size_t extents_max) {
  if (file.allocated == 0) return Purge::done;
  const std::vector<Row<tables::Extents>> rows = TRY(
      txn.rows<tables::Extents>({inode, 0}, {inode, kFileSizeMax}, extents_max));
  ChunkReferences references;
  for (const auto& row : rows) {
    txn.erase<tables::Extents>(row.key);
    references.drop(row.record.chunk);
    file.allocated -= row.record.length;
  }
  TRY(references.apply(txn, context));
  return file.allocated == 0 ? Purge::done : Purge::more;
}

Result<void> resize(Transaction& txn, const OperationContext& context, InodeId inode,
                    InodeRecord& file, std::uint64_t size) {
  if (size < file.size) {
    ChunkReferences references;
    TRY(punch_hole(txn, inode, file, {size, kFileSizeMax}, references));
    TRY(references.apply(txn, context));
  }
  file.size = size;
  return {};
}

// --- reading -------------------------------------------------------------------------------

Result<ExtentPage> read_extents(Transaction& txn, InodeId inode, const InodeRecord& file,
                                FileSpan span, std::size_t extents_max) {
  ExtentPage page;
  if (file.allocated == 0 || span.from >= file.size) {
    page.complete = true;
    return page;
  }
  if (span.from > 0) {
    const std::optional<Row<tables::Extents>> across = TRY(extent_across(txn, inode, span.from));
    if (across) page.extents.push_back(extent_of(*across));
  }
  // One more than asked for says whether anything follows.
  const std::size_t wanted = extents_max - std::min(page.extents.size(), extents_max) + 1;
  const std::vector<Row<tables::Extents>> rows = TRY(
      txn.rows<tables::Extents>({inode, span.from}, {inode, span.to}, wanted));
  page.complete = rows.size() < wanted;
  const std::size_t taken = std::min(rows.size(), wanted - 1);
  page.extents.reserve(page.extents.size() + taken);
  for (std::size_t i = 0; i < taken; ++i) page.extents.push_back(extent_of(rows[i]));
  return page;
}

}  // namespace dfs::ops
