// What a storage server has, written down: an inventory is a row file
// (common/base/row_file.h) with a row for each chunk. `dfs-storage inventory`
// writes it, `dfs-meta salvage` reads it.
//
//   head   what = chunk inventory, cluster, server, identity, time
//   key    u64 chunk id, big-endian
//   value  u32 length, u64 inode, u64 offset in its file of the first byte,
//          i64 time of writing, u8 kind (Kind), and of `runs`: u64 offset and u32
//          length of each; little-endian
//
// Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/row_file.h"
#include "common/rpc/run_map.h"

namespace dfs {

struct InventoryHead {
  std::string cluster;
  ServerId server;
  std::string identity;
  WallNanos time = 0;
};
RowFileFacts inventory_facts(const InventoryHead& head);
//   invalid  it is a row file, but no inventory
Result<InventoryHead> read_inventory_head(const RowFileReader& file, const std::string& name);

struct InventoryRow {
  enum class Kind : std::uint8_t {
    one_run = 0,
    runs = 1,
    unknown = 2,  // scattered writes, and no map of them that holds
  };

  ChunkId chunk;
  std::uint32_t length = 0;
  InodeId inode;
  std::uint64_t file_offset = 0;
  WallNanos written = 0;  // 0: by a version that did not say when
  Kind kind = Kind::one_run;
  std::vector<FileRun> runs;  // of Kind::runs
  friend bool operator==(const InventoryRow&, const InventoryRow&) = default;
};
void encode(const InventoryRow& row, std::string& key, std::string& value);
// False if this is no such row.
bool decode(std::string_view key, std::string_view value, InventoryRow& row);

}  // namespace dfs
