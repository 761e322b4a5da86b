// What a file consists of, out of the chunks that were written for it.
//
// Chunks are laid one over the other in the order in which they were written;
// what was written last shows. Those without a time (by a version that wrote
// none) come first, in the order of their ids, which need not be the order of
// writing: where two such overlap, the file is `ambiguous`.
//
// Pure.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/rpc/run_map.h"
#include "common/rpc/types.h"

namespace dfs {

// A chunk and where its bytes belong, one run behind the other.
struct LaidChunk {
  ChunkId chunk;
  WallNanos written = 0;  // 0: not known
  std::vector<FileRun> runs;
};

class FileLayout {
 public:
  // Later calls lie over earlier ones.
  void lay(const LaidChunk& chunk);

  // Apart from each other, in order.
  std::vector<Extent> extents() const;
  // Past the last byte; a hole at the end of the file is not known.
  std::uint64_t size() const;
  bool ambiguous() const { return ambiguous_; }

 private:
  struct Piece {
    std::uint64_t end = 0;
    ChunkId chunk;
    std::uint32_t chunk_offset = 0;
    bool dated = false;
  };
  void lay_run(const LaidChunk& chunk, const FileRun& run, std::uint32_t chunk_offset);
  void cut_at(std::uint64_t offset);

  std::map<std::uint64_t, Piece> pieces_;  // by file offset
  bool ambiguous_ = false;
};

// Sorts into the order of laying.
void sort_by_time(std::vector<LaidChunk>& chunks);

}  // namespace dfs
