// Bytes [offset, offset + length) of a file of this machine. They are what was
// asked for only if they match the checksums: a deletion empties the place.
#pragma once

#include <cstdint>
#include <string>

namespace dfs {

struct FilePlace {
  std::string path;
  std::uint64_t offset = 0;
  std::uint32_t length = 0;
};

}  // namespace dfs
