// Tells a torn end of RocksDB's write-ahead log from a damaged middle.
//
// After a power loss the log may end in records that never reached the disk
// whole, and those must be dropped. A record that had been synced must never
// be dropped, yet both look the same to RocksDB: a checksum that does not
// hold. So RocksDbStore writes a mark into the first log record after each
// sync: "all up to sequence N is on stable media". A bad record followed by a
// mark that covers it was synced once: the log is damaged.
//
// A damaged record that no later mark covers (the very last writes) still
// counts as a torn end.
//
// The log's format: github.com/facebook/rocksdb/wiki/Write-Ahead-Log-File-Format.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string_view>

#include "common/base/result.h"

namespace dfs::rocksdb_log {

struct Mark {
  std::array<char, 12> bytes;
  std::string_view text() const { return {bytes.data(), bytes.size()}; }
};
// To be put first into a write batch, as its log data.
Mark synced_mark(std::uint64_t sequence);

// Reads the log files in `directory`, if there are any, and changes nothing.
//   corrupt  a synced record does not hold; the text names file and offset
Result<void> check(const std::filesystem::path& directory);

}  // namespace dfs::rocksdb_log
