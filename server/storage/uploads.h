// Chunks that are arriving in parts. They live in memory with their space
// reserved on disk; a connection may break and another one go on, but an
// unfinished upload ends with the process.
//
// Threads: any. One upload is worked on by one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "common/base/checksum.h"
#include "common/base/clock.h"
#include "server/storage/segment_format.h"
#include "server/storage/segment_set.h"

namespace dfs::storage {

struct Upload {
  Upload(const ChunkMeta& chunk_meta, SegmentSet::Place reserved)
      : meta(chunk_meta), place(std::move(reserved)), checksums(block_count(chunk_meta.length)) {}

  const ChunkMeta meta;
  const SegmentSet::Place place;

  std::mutex mutex;  // guards what follows
  std::vector<Checksum> checksums;
  std::uint32_t have = 0;  // bytes from the start that are in the file
  bool over = false;       // stored or given up; who still holds it starts again
};

class Uploads {
 public:
  explicit Uploads(const Clock& clock) : clock_(clock) {}

  // Null if there is none.
  std::shared_ptr<Upload> find(ChunkId chunk);
  // `upload` unless there is one already; the one that counts is returned.
  std::shared_ptr<Upload> add(std::shared_ptr<Upload> upload);
  void remove(const Upload& upload);

  // Those to give up: untouched for `idle_max`, or the longest untouched
  // beyond `count_max`. They stay until removed.
  std::vector<std::shared_ptr<Upload>> overdue(std::chrono::nanoseconds idle_max,
                                               std::size_t count_max) const;
  std::size_t count() const;

 private:
  struct Slot {
    std::shared_ptr<Upload> upload;
    SteadyTime touched;
  };
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::unordered_map<ChunkId, Slot> slots_;
};

}  // namespace dfs::storage
