// KvStore on RocksDB, which nothing outside this room knows.
//
// A write is in the write-ahead log when it returns; a start replays the log.
// Memory: the block cache (index and filter blocks included) and three
// memtables.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>

#include "common/kv/kv_store.h"

namespace dfs {

struct RocksDbConfig {
  std::size_t block_cache_bytes = 256 << 20;
  std::size_t write_buffer_bytes = 64 << 20;  // one memtable; at most three exist
  // Writes are refused before the disk is really full, so that memtables and
  // compactions find room; at most a sixteenth of the disk.
  std::uint64_t reserved_bytes = 256 << 20;
  int background_threads = 1;  // compactions at once; flushes have one more
};

// Opens or creates the database in `directory`, replaying its log.
//   busy     another process has it open (named in the text)
//   corrupt  a record does not hold; the text names the file
Result<std::unique_ptr<KvStore>> open_rocksdb(const std::filesystem::path& directory,
                                              const RocksDbConfig& config);

}  // namespace dfs
