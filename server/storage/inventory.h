// Writes down what a storage server has, for when all metadata is lost
// (common/rpc/chunk_inventory.h). The server itself does not run meanwhile.
//
// Headers are read and, of chunks of scattered writes, the map at their end; other
// bytes are not looked at. What cannot be read is counted and left out.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "common/base/clock.h"
#include "common/base/result.h"
#include "server/storage/store_set.h"

namespace dfs::storage {

struct InventorySummary {
  std::uint64_t chunks = 0;
  std::uint64_t bytes = 0;       // of those chunks
  std::uint64_t unreadable = 0;  // damaged: left out
  std::uint64_t unplaced = 0;    // scattered, without a map that holds
};

// Of stores that are open; `file` appears whole or not at all.
Result<InventorySummary> write_inventory(const StoreSet& stores, const Clock& clock,
                                         const std::filesystem::path& file);

// The same of a server's data directories.
//   invalid  one of them is no storage server's, or of a server that has joined no cluster
//   busy     the server is running
Result<InventorySummary> write_inventory_of(const std::vector<std::filesystem::path>& directories,
                                            const std::filesystem::path& file);

}  // namespace dfs::storage
