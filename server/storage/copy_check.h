// Whether the copy of a chunk here is what was written. What is on a disk that
// has failed does not count.
// Threads: any; waits for the disk.
#pragma once

#include <cstdint>

#include "common/base/result.h"
#include "server/storage/store_set.h"

namespace dfs::storage {

enum class CopyState { good, damaged, absent };

struct CheckedCopy {
  CopyState state = CopyState::absent;
  std::uint64_t bytes = 0;  // that were read for it
};

// Reads all of it. Errors: those of the disk that say nothing of the chunk.
Result<CheckedCopy> check_copy(StoreSet& stores, ChunkId chunk);

}  // namespace dfs::storage
