// Reads everything that is stored, again and again and slowly, to find copies
// that have become damaged before the other copies are gone too.
//
// Begins anywhere: a server that is restarted often gets round all the same.
//
// One step() after another; between them the caller waits as long as step() says.
// Threads: step() one at a time; take_damaged() any.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "common/base/clock.h"
#include "common/base/guarded.h"
#include "common/base/ids.h"
#include "common/base/metrics.h"
#include "server/storage/copy_pace.h"
#include "server/storage/store_set.h"

namespace dfs::storage {

class Scrubber {
 public:
  // `start`: any number. `bytes_per_second` 0: never. Both references must outlive this.
  Scrubber(StoreSet& stores, const Clock& clock, std::uint64_t bytes_per_second,
           std::uint64_t start);

  std::chrono::milliseconds step();
  // What was found since the last call, at most some thousand.
  std::vector<ChunkId> take_damaged();

 private:
  static constexpr std::size_t kDamagedMax = 4'096;

  StoreSet& stores_;
  const std::uint64_t bytes_per_second_;
  CopyPace pace_;
  const std::uint64_t start_;
  bool placed_ = false;  // position_ was chosen
  ChunkId position_;
  Guarded<std::vector<ChunkId>> damaged_;
  Counter& bytes_;
  Counter& found_;
  Counter& rounds_;
};

}  // namespace dfs::storage
