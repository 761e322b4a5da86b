// Where the bytes of a chunk belong in its file, said by the chunk itself.
//
// Files find their bytes through extents. When all metadata is lost, what
// storage servers keep of each chunk is all there is: inode and offset of its
// first byte. That is enough for a chunk that is one run of its file. One that
// collects small writes to many places carries a map of them at its end, behind
// the bytes that extents name:
//
//   bytes of the runs, one behind the other
//   zeros, so that the map does not lie across the last border of a block
//   map      u64 file offset, u32 length - of each run, in the order of its bytes
//            u32 number of runs
//            u64 XXH3-64 of the map up to here
//
// Numbers are little-endian. Runs may overlap: the later one was written later.
// One at kNowhere is bytes that belong nowhere any more.
// Whether there is a map, the chunk's header says (PutHeader.scattered).
//
// Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "common/base/bytes.h"

namespace dfs {

inline constexpr std::uint64_t kNowhere = UINT64_MAX;

struct FileRun {
  std::uint64_t file_offset = 0;
  std::uint32_t length = 0;
  friend bool operator==(const FileRun&, const FileRun&) = default;
};

inline constexpr std::size_t kRunBytes = 12;
inline constexpr std::size_t kRunMapEndBytes = 12;
// Runs that one chunk may have; the map then fits into a block.
inline constexpr std::uint32_t kRunsPerChunkMax = 4096;
constexpr std::size_t run_map_bytes(std::size_t runs) { return runs * kRunBytes + kRunMapEndBytes; }

std::vector<std::byte> encode_run_map(std::span<const FileRun> runs);

// Of a chunk of `length` bytes; `end` is its end, the last
// run_map_bytes(kRunsPerChunkMax) of it or all. Nothing if no map stands there
// that holds and fits this chunk.
std::optional<std::vector<FileRun>> decode_run_map(BufferView end, std::uint32_t length);

}  // namespace dfs
