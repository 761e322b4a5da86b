// Chunks of which no member of their group has a good copy, as far as the
// members could be asked: found when a copy was to be made, gone when one has
// been made or nothing uses the chunk any more. In memory: after a restart
// they are found again.
//
// Threads: the core's; no locks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>

#include "common/base/ids.h"

namespace dfs {

class LostChunks {
 public:
  // More are counted by nobody: the first ones say what has happened.
  static constexpr std::size_t kNamedMax = 4'096;

  // True if that is news.
  bool add(ChunkId chunk) {
    return chunks_.size() < kNamedMax && chunks_.insert(chunk).second;
  }
  // True if it was one.
  bool found(ChunkId chunk) { return chunks_.erase(chunk) > 0; }
  bool contains(ChunkId chunk) const { return chunks_.contains(chunk); }
  const std::set<ChunkId>& all() const { return chunks_; }

 private:
  std::set<ChunkId> chunks_;
};

}  // namespace dfs
