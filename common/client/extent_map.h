// What this client knows of a file's committed contents: a prefix of its
// extents, as of one data_change. Pure; not thread-safe.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <unordered_map>
#include <vector>

#include "common/client/range_map.h"
#include "common/rpc/types.h"

namespace dfs {

class ExtentMap {
 public:
  using Range = RangeMap<ChunkId>::Range;
  static constexpr std::uint64_t kEverything = std::numeric_limits<std::uint64_t>::max();

  // Forgets everything.
  void reset();
  // Takes in what the server lists from `from` on; `complete`: nothing follows.
  void load(std::uint64_t from, const std::vector<Extent>& extents, bool complete);
  // Extents below this offset are known; a gap there is a hole.
  std::uint64_t known_through() const { return known_through_; }

  // Changes that the server has made at our request.
  void put(const Extent& extent);
  void punch(std::uint64_t offset, std::uint64_t length);
  void truncate(std::uint64_t size);
  // `chunk` is `length` bytes long, whoever refers to how much of it.
  void learn_length(ChunkId chunk, std::uint32_t length);

  template <typename Visit>
  void visit(std::uint64_t offset, std::uint64_t length, Visit&& visit) const {
    ranges_.visit(offset, length, std::forward<Visit>(visit));
  }
  std::optional<Range> next(std::uint64_t offset) const { return ranges_.next(offset); }
  // A chunk has at least this many bytes: what may be fetched of it.
  std::uint32_t least_length(ChunkId chunk) const;

  std::size_t size() const { return ranges_.size(); }
  std::vector<Extent> list(std::uint64_t offset, std::uint64_t length) const;

 private:
  RangeMap<ChunkId> ranges_;
  std::unordered_map<ChunkId, std::uint32_t> lengths_;
  std::uint64_t known_through_ = 0;
};

}  // namespace dfs
