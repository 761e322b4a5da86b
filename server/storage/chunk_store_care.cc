// ChunkStore's care for its disk: checkpoints, deletion, removal of segments.
//
// Orders that prevent loss:
//   segments synced  <  their chunks' rows written       (rows never lie)
//   record punched   <  punch synced  <  row forgotten   (a deletion that was
//       interrupted is found, and done, when it is asked for again)
//   no row points to a segment  <  the segment is removed
#include <algorithm>
#include <map>

#include "common/base/log.h"
#include "server/storage/chunk_store.h"
#include "server/storage/segment_scan.h"

namespace dfs::storage {
namespace {

// Chunks erased together; each is claimed meanwhile.
constexpr std::size_t kEraseBatch = 2048;

}  // namespace

Result<void> ChunkStore::checkpoint() {
  const std::lock_guard lock(settle_mutex_);
  return checkpoint_locked();
}

Result<void> ChunkStore::checkpoint_locked() {
  TRY(check_usable());
  for (const auto& upload : uploads_.overdue(options_.upload_idle_max, options_.uploads_max)) {
    const std::lock_guard lock(upload->mutex);
    give_up_locked(*upload);
  }
  TRY(watch(segments_.prepare_spare()));

  // First how far each segment is finished, then what is young: a chunk that
  // is added in between is only scanned once more, never missed.
  const auto states = segments_.open_states();
  const ChunkIndex::Young& young = index_.begin_settling();
  young_bytes_ = 0;
  if (auto settled = watch(settle_locked(young, states)); !settled) {
    index_.unsettle();
    return settled;
  }
  return remove_empty_segments_locked();
}

Result<void> ChunkStore::settle_locked(const ChunkIndex::Young& young,
                                       const std::vector<SegmentSet::OpenState>& states) {
  std::vector<SyncPoint> points;
  for (const auto& state : states) points.push_back({state.segment, state.segment->last_ticket()});
  TRY(Syncer::sync(points));

  const auto before = segments_.rows();
  auto rows = before;
  for (const auto& state : states) {
    SegmentRow& row = rows[state.segment->number()];
    row.scanned_to = state.settled_end;
    if (!state.may_seal) continue;
    TRY(state.segment->seal());
    row.sealed = true;
  }
  for (const auto& [chunk, indexed] : young) {
    SegmentRow& row = rows[indexed.place.segment];
    ++row.live_records;
    row.live_bytes += record_bytes(indexed.place.length);
  }
  std::vector<SegmentRow> changed;
  for (const auto& [number, row] : rows) {
    const auto old = before.find(number);
    if (old == before.end() || old->second != row) changed.push_back(row);
  }
  if (changed.empty()) {
    index_.unsettle();  // nothing came since the last time
    return {};
  }
  TRY(index_.settle(changed, next_serial_));
  segments_.set_rows(changed);
  return {};
}

void ChunkStore::start_writeback() {
  for (const auto& state : segments_.open_states()) state.segment->start_writeback();
}

Result<void> ChunkStore::erase(std::span<const ChunkId> chunks) {
  std::vector<ChunkId> sorted(chunks.begin(), chunks.end());
  std::sort(sorted.begin(), sorted.end());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  const std::lock_guard lock(settle_mutex_);
  TRY(check_usable());
  for (std::size_t at = 0; at < sorted.size(); at += kEraseBatch) {
    const std::size_t count = std::min(kEraseBatch, sorted.size() - at);
    TRY(watch(erase_locked(std::span(sorted).subspan(at, count))));
  }
  return remove_empty_segments_locked();
}

Result<void> ChunkStore::erase_locked(std::span<const ChunkId> chunks) {
  std::vector<Claims::Claim> claims;
  std::vector<ChunkId> known_chunks;
  std::vector<ChunkPlace> places;
  std::map<std::uint32_t, SegmentRow> rows;
  for (const ChunkId chunk : chunks) {
    if (const auto upload = uploads_.find(chunk)) {
      const std::lock_guard lock(upload->mutex);
      give_up_locked(*upload);
    }
    claims.push_back(claims_.claim(chunk));
    const auto known = TRY(find(chunk));
    if (!known) continue;
    known_chunks.push_back(chunk);
    places.push_back(known->place);
    if (known->ticket != 0) continue;  // young: not in a segment's account yet
    const std::uint32_t number = known->place.segment;
    SegmentRow& row = rows.try_emplace(number, segments_.row(number)).first->second;
    invariant(row.live_records > 0, "a segment's account covers its chunks");
    --row.live_records;
    row.live_bytes -= record_bytes(known->place.length);
  }
  if (known_chunks.empty()) return {};
  TRY(punch_records(std::move(places)));
  std::vector<SegmentRow> changed;
  for (const auto& [number, row] : rows) changed.push_back(row);
  TRY(index_.erase(known_chunks, changed));
  segments_.set_rows(changed);
  return {};
}

// Chunks that were written together are deleted together: neighbours go in
// one call.
Result<void> ChunkStore::punch_records(std::vector<ChunkPlace> places) {
  std::sort(places.begin(), places.end(), [](const ChunkPlace& a, const ChunkPlace& b) {
    return std::pair(a.segment, a.offset) < std::pair(b.segment, b.offset);
  });
  for (std::size_t i = 0; i < places.size();) {
    const std::uint32_t segment = places[i].segment;
    const auto file = TRY(segments_.files().open(segment));
    while (i < places.size() && places[i].segment == segment) {
      const std::uint64_t start = places[i].offset;
      std::uint64_t end = start;
      for (; i < places.size() && places[i].segment == segment && places[i].offset == end; ++i)
        end += record_bytes(places[i].length);
      TRY(file->punch(start, end - start));
    }
    TRY(file->sync());
  }
  return {};
}

Result<void> ChunkStore::remove_empty_segments_locked() {
  for (const std::uint32_t number : segments_.empty_segments()) {
    const bool empty = TRY(is_really_empty(number));
    if (!empty) continue;
    TRY(watch(segments_.remove(number)));
    TRY(watch(index_.erase_segment(number)));
    log_info("storage", "{}: removed segment {}, nothing lived in it any more",
             options_.directory.string(), number);
  }
  return {};
}

// The account says so; before a file with chunks of somebody is deleted the
// segment itself is asked. It is nearly all hole, so this costs little.
Result<bool> ChunkStore::is_really_empty(std::uint32_t segment) {
  const auto file = TRY(segments_.files().open(segment));
  std::uint64_t living = 0;
  const ScanRequest request{
      .salt = segments_.row(segment).salt, .from = kSegmentHeaderBytes, .depth = ScanDepth::headers};
  const ScanVisitor visitor{
      .record = [&](const RecordHeader& record) -> Result<void> {
        const auto known = TRY(find(record.meta.chunk));
        if (known && known->place.segment == segment && known->place.offset == record.place) ++living;
        return {};
      },
      .gap = [](const ScanGap&) -> Result<void> { return {}; }};
  TRY(scan_segment(*file, request, visitor));
  if (living == 0) return true;
  log_error("storage", "{}: segment {} holds {} chunks although its account says none; it stays",
            options_.directory.string(), segment, living);
  return false;
}

}  // namespace dfs::storage
