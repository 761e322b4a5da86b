// The rows of a store's index on RocksDB, for ChunkStore::open().
#pragma once

#include "server/storage/chunk_store.h"

namespace dfs::storage {

// With IndexStart::fresh what is there is put aside as DIRECTORY.damaged,
// replacing what was put aside before. Rows that a corrupted database lost
// are no loss: the segments have it all.
Result<std::unique_ptr<KvStore>> open_store_index(const std::filesystem::path& directory,
                                                  IndexStart start);

}  // namespace dfs::storage
