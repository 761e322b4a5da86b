// Where each chunk of a store lies.
//
// The index is a convenience: the segments are the truth, and what is lost of
// it is found again by scanning them. Chunks stored since the last checkpoint
// are kept in memory only ("young"); a checkpoint writes them, together with
// how far each segment has been taken in, as one batch, after their segments
// have been synced. So the rows on disk never speak of bytes that power loss
// could take, and a start scans only what came after.
//
// Rows, numbers little-endian unless said otherwise:
//   'c' chunk (big-endian)      -> u32 segment, u32 length, u64 offset
//   's' segment (u32 big-endian) -> u64 salt, u64 scanned_to, u64 sealed,
//                                   u64 live records, u64 live bytes
//   'n'                         -> u64 serial: no record on disk below the
//                                   scanned_to of its segment has a larger one
//
// Threads: any; settling and erasing are for one thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/kv/kv_store.h"
#include "server/storage/segment.h"

namespace dfs::storage {

struct ChunkPlace {
  std::uint32_t segment = 0;
  std::uint32_t length = 0;
  std::uint64_t offset = 0;  // of the record
  friend bool operator==(const ChunkPlace&, const ChunkPlace&) = default;
};

struct IndexedChunk {
  ChunkPlace place;
  SyncTicket ticket = 0;  // 0: on stable media, with the row
};

struct SegmentRow {
  std::uint32_t number = 0;
  std::uint64_t salt = 0;
  std::uint64_t scanned_to = kSegmentHeaderBytes;
  bool sealed = false;
  std::uint64_t live_records = 0;  // of the 'c' rows that point here
  std::uint64_t live_bytes = 0;    // their records' bytes
  friend bool operator==(const SegmentRow&, const SegmentRow&) = default;
};

class ChunkIndex {
 public:
  explicit ChunkIndex(std::unique_ptr<KvStore> rows);

  Result<std::optional<IndexedChunk>> find(ChunkId chunk) const;
  // Wins over what was there.
  void add(ChunkId chunk, const ChunkPlace& place, SyncTicket ticket);
  std::size_t young_count() const;

  // Chunks from `first` on, in order.
  struct Listed {
    ChunkId chunk;
    std::uint32_t length = 0;
  };
  Result<std::vector<Listed>> list(ChunkId first, std::size_t chunks_max) const;

  // --- checkpoint ---------------------------------------------------------------

  using Young = std::unordered_map<ChunkId, IndexedChunk>;
  // What is to be written; stays findable. Ends with settle() or unsettle().
  const Young& begin_settling();
  // Writes what begin_settling() returned and these rows; stable on return.
  Result<void> settle(std::span<const SegmentRow> segments, std::uint64_t serial);
  // After an error: everything is young again.
  void unsettle();

  // Forgets chunks, stable on return, along with new rows of segments.
  Result<void> erase(std::span<const ChunkId> chunks, std::span<const SegmentRow> segments);
  Result<void> erase_segment(std::uint32_t number);
  // Forgets the rows that point to where `is_lost` says; returns how many.
  Result<std::size_t> erase_places(const std::function<bool(const ChunkPlace&)>& is_lost);

  Result<std::map<std::uint32_t, SegmentRow>> segments() const;
  Result<std::uint64_t> serial() const;

 private:
  const std::unique_ptr<KvStore> rows_;
  mutable std::mutex mutex_;
  Young young_;
  Young settling_;
};

}  // namespace dfs::storage
