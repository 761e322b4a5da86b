// Where a file has data: bytes that are committed or buffered here. The rest
// are holes.
//
// Pure. The extents must be known up to the offsets asked for.
#pragma once

#include <cstdint>

#include "common/client/dirty_file.h"
#include "common/client/extent_map.h"

namespace dfs {

class DataRanges {
 public:
  DataRanges(const DirtyFile::Ranges& dirty, const ExtentMap& extents)
      : dirty_(dirty), extents_(extents) {}

  // The first offset in [from, end) that holds data; `end` if none does.
  std::uint64_t next_data(std::uint64_t from, std::uint64_t end) const;
  // The first offset in [from, end) in a hole; `end` if there is none.
  std::uint64_t next_hole(std::uint64_t from, std::uint64_t end) const;
  // How many bytes of [from, end) are data.
  std::uint64_t bytes(std::uint64_t from, std::uint64_t end) const;

 private:
  const DirtyFile::Ranges& dirty_;
  const ExtentMap& extents_;
};

}  // namespace dfs
