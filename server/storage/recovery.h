// What a start does before a store is used: brings segments and index
// together again.
#pragma once

#include <cstdint>
#include <filesystem>

#include "common/base/result.h"
#include "server/storage/chunk_index.h"
#include "server/storage/disk.h"
#include "server/storage/segment_set.h"

namespace dfs::storage {

struct RecoveryReport {
  std::uint64_t next_serial = 1;
  std::uint64_t records_found = 0;   // that the index did not know
  std::uint64_t torn = 0;            // unfinished or torn records, given up
  std::uint64_t damaged_bytes = 0;   // in sealed segments; left alone for salvage
};

// Scans what the index has not taken in: everything if the index is new. After
// it, every valid record is indexed once (of several for one chunk, the one
// with the largest serial), every row points to a record, all of it is on
// stable media, and space of torn records is given back.
// `segments_directory` exists; `segments` and `index` are used by nobody else yet.
Result<RecoveryReport> recover(Disk& disk, const std::filesystem::path& segments_directory,
                               SegmentSet& segments, ChunkIndex& index);

}  // namespace dfs::storage
