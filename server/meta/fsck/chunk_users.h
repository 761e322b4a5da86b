// Which files use some chunks: what to call them, and which of their bytes.
//
// The extents of all files are gone through once. Threads: one, which should
// not be the core's.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>

#include "common/base/ids.h"
#include "common/kv/kv_store.h"

namespace dfs::fsck {

struct Use {
  ChunkId chunk;
  InodeId inode;
  std::string path;  // "inode 12 (no name)" if it has none
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

// Calls `found` for each run of bytes, and `passed` now and then. Errors: the
// store's, and theirs.
Result<void> find_users(const KvSnapshot& snapshot, const std::set<ChunkId>& chunks,
                        const std::function<Result<void>(Use)>& found,
                        const std::function<Result<void>(std::uint64_t rows)>& passed);

}  // namespace dfs::fsck
