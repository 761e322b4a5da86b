#include "server/storage/chunk_index.h"

#include <algorithm>
#include <string>

namespace dfs::storage {
namespace {

constexpr char kChunkRow = 'c';
constexpr char kSegmentRow = 's';
constexpr std::string_view kSerialRow = "n";

std::string chunk_key(ChunkId chunk) {
  std::string key(9, kChunkRow);
  store_be64(key.data() + 1, chunk.value());
  return key;
}

std::string segment_key(std::uint32_t number) {
  std::string key(5, kSegmentRow);
  store_be32(key.data() + 1, number);
  return key;
}

std::string encode(const ChunkPlace& place) {
  std::string value(16, '\0');
  store_le(value.data(), place.segment);
  store_le(value.data() + 4, place.length);
  store_le(value.data() + 8, place.offset);
  return value;
}

Result<ChunkPlace> decode_place(std::string_view value) {
  if (value.size() != 16) return fail(Errc::corrupt, "a chunk's row in the index has a wrong size");
  return ChunkPlace{.segment = load_le<std::uint32_t>(value.data()),
                    .length = load_le<std::uint32_t>(value.data() + 4),
                    .offset = load_le<std::uint64_t>(value.data() + 8)};
}

std::string encode(const SegmentRow& row) {
  std::string value(40, '\0');
  store_le(value.data(), row.salt);
  store_le(value.data() + 8, row.scanned_to);
  store_le(value.data() + 16, std::uint64_t{row.sealed});
  store_le(value.data() + 24, row.live_records);
  store_le(value.data() + 32, row.live_bytes);
  return value;
}

Result<SegmentRow> decode_segment(std::string_view key, std::string_view value) {
  if (key.size() != 5 || value.size() != 40)
    return fail(Errc::corrupt, "a segment's row in the index has a wrong size");
  return SegmentRow{.number = load_be32(key.data() + 1),
                    .salt = load_le<std::uint64_t>(value.data()),
                    .scanned_to = load_le<std::uint64_t>(value.data() + 8),
                    .sealed = load_le<std::uint64_t>(value.data() + 16) != 0,
                    .live_records = load_le<std::uint64_t>(value.data() + 24),
                    .live_bytes = load_le<std::uint64_t>(value.data() + 32)};
}

}  // namespace

ChunkIndex::ChunkIndex(std::unique_ptr<KvStore> rows) : rows_(std::move(rows)) {}

Result<std::optional<IndexedChunk>> ChunkIndex::find(ChunkId chunk) const {
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = young_.find(chunk); found != young_.end()) return found->second;
    if (const auto found = settling_.find(chunk); found != settling_.end()) return found->second;
  }
  const auto value = TRY(rows_->get(chunk_key(chunk)));
  if (!value) return std::nullopt;
  const ChunkPlace place = TRY(decode_place(*value));
  return IndexedChunk{.place = place, .ticket = 0};
}

void ChunkIndex::add(ChunkId chunk, const ChunkPlace& place, SyncTicket ticket) {
  const std::lock_guard lock(mutex_);
  young_.insert_or_assign(chunk, IndexedChunk{place, ticket});
}

std::size_t ChunkIndex::young_count() const {
  const std::lock_guard lock(mutex_);
  return young_.size() + settling_.size();
}

Result<std::vector<ChunkIndex::Listed>> ChunkIndex::list(ChunkId first,
                                                         std::size_t chunks_max) const {
  std::map<ChunkId, std::uint32_t> found;
  {
    const std::lock_guard lock(mutex_);
    for (const Young* part : {&young_, &settling_}) {
      for (const auto& [chunk, indexed] : *part) {
        if (chunk >= first) found.emplace(chunk, indexed.place.length);
      }
    }
  }
  const auto cursor = rows_->cursor();
  std::size_t rows = 0;
  for (cursor->seek(chunk_key(first)); cursor->valid() && rows < chunks_max; cursor->next()) {
    const std::string_view key = cursor->key();
    if (key.size() != 9 || key.front() != kChunkRow) break;
    const ChunkPlace place = TRY(decode_place(cursor->value()));
    found.emplace(ChunkId{load_be64(key.data() + 1)}, place.length);
    ++rows;
  }
  TRY(cursor->status());

  std::vector<Listed> listed;
  listed.reserve(std::min(found.size(), chunks_max));
  for (const auto& [chunk, length] : found) {
    if (listed.size() == chunks_max) break;
    listed.push_back({chunk, length});
  }
  return listed;
}

const ChunkIndex::Young& ChunkIndex::begin_settling() {
  const std::lock_guard lock(mutex_);
  invariant(settling_.empty(), "one checkpoint at a time");
  settling_.swap(young_);
  return settling_;
}

Result<void> ChunkIndex::settle(std::span<const SegmentRow> segments, std::uint64_t serial) {
  KvBatch batch;
  // Nobody changes settling_ while a checkpoint runs, so it is read unlocked.
  for (const auto& [chunk, indexed] : settling_) batch.put(chunk_key(chunk), encode(indexed.place));
  for (const SegmentRow& row : segments) batch.put(segment_key(row.number), encode(row));
  std::string value(8, '\0');
  store_le(value.data(), serial);
  batch.put(std::string(kSerialRow), std::move(value));
  TRY(rows_->write(batch, KvDurability::stable));
  Young written;  // freed outside the lock
  const std::lock_guard lock(mutex_);
  written.swap(settling_);
  return {};
}

void ChunkIndex::unsettle() {
  const std::lock_guard lock(mutex_);
  young_.merge(settling_);  // what was added since wins
  settling_.clear();
}

Result<void> ChunkIndex::erase(std::span<const ChunkId> chunks,
                               std::span<const SegmentRow> segments) {
  KvBatch batch;
  for (const ChunkId chunk : chunks) batch.erase(chunk_key(chunk));
  for (const SegmentRow& row : segments) batch.put(segment_key(row.number), encode(row));
  TRY(rows_->write(batch, KvDurability::stable));
  const std::lock_guard lock(mutex_);
  invariant(settling_.empty(), "nothing is erased during a checkpoint");
  for (const ChunkId chunk : chunks) young_.erase(chunk);
  return {};
}

Result<void> ChunkIndex::erase_segment(std::uint32_t number) {
  KvBatch batch;
  batch.erase(segment_key(number));
  return rows_->write(batch, KvDurability::process);
}

Result<std::size_t> ChunkIndex::erase_places(
    const std::function<bool(const ChunkPlace&)>& is_lost) {
  KvBatch batch;
  const auto cursor = rows_->cursor();
  for (cursor->seek({&kChunkRow, 1}); cursor->valid(); cursor->next()) {
    const std::string_view key = cursor->key();
    if (key.size() != 9 || key.front() != kChunkRow) break;
    const ChunkPlace place = TRY(decode_place(cursor->value()));
    if (is_lost(place)) batch.erase(std::string(key));
  }
  TRY(cursor->status());
  if (!batch.empty()) TRY(rows_->write(batch, KvDurability::stable));
  return batch.changes().size();
}

Result<std::map<std::uint32_t, SegmentRow>> ChunkIndex::segments() const {
  std::map<std::uint32_t, SegmentRow> rows;
  const auto cursor = rows_->cursor();
  for (cursor->seek({&kSegmentRow, 1}); cursor->valid(); cursor->next()) {
    if (cursor->key().front() != kSegmentRow) break;
    const SegmentRow row = TRY(decode_segment(cursor->key(), cursor->value()));
    rows.emplace(row.number, row);
  }
  TRY(cursor->status());
  return rows;
}

Result<std::uint64_t> ChunkIndex::serial() const {
  const auto value = TRY(rows_->get(kSerialRow));
  if (!value) return 0;
  if (value->size() != 8) return fail(Errc::corrupt, "the serial's row in the index has a wrong size");
  return load_le<std::uint64_t>(value->data());
}

}  // namespace dfs::storage
