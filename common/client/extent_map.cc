#include "common/client/extent_map.h"

#include <algorithm>

namespace dfs {
namespace {

constexpr auto kIgnore = [](const ExtentMap::Range&) {};

}  // namespace

void ExtentMap::reset() {
  ranges_.clear();
  lengths_.clear();
  known_through_ = 0;
}

void ExtentMap::load(std::uint64_t from, const std::vector<Extent>& extents, bool complete) {
  // What the server does not list in between are holes.
  const std::uint64_t to =
      complete ? kEverything : (extents.empty() ? from : extents.back().end());
  if (to > from) ranges_.erase(from, to - from, kIgnore);
  for (const Extent& extent : extents) put(extent);
  known_through_ = std::max(known_through_, to);
}

void ExtentMap::put(const Extent& extent) {
  ranges_.insert({extent.file_offset, extent.length, extent.chunk, extent.chunk_offset}, kIgnore);
  learn_length(extent.chunk, extent.chunk_offset + extent.length);
}

void ExtentMap::punch(std::uint64_t offset, std::uint64_t length) {
  ranges_.erase(offset, length, kIgnore);
}

void ExtentMap::truncate(std::uint64_t size) { ranges_.erase(size, kEverything - size, kIgnore); }

void ExtentMap::learn_length(ChunkId chunk, std::uint32_t length) {
  std::uint32_t& known = lengths_[chunk];
  known = std::max(known, length);
}

std::uint32_t ExtentMap::least_length(ChunkId chunk) const {
  const auto it = lengths_.find(chunk);
  return it == lengths_.end() ? 0 : it->second;
}

std::vector<Extent> ExtentMap::list(std::uint64_t offset, std::uint64_t length) const {
  std::vector<Extent> result;
  visit(offset, length, [&](const Range& range) {
    result.push_back({range.offset, static_cast<std::uint32_t>(range.length), range.source,
                      static_cast<std::uint32_t>(range.source_offset)});
  });
  return result;
}

}  // namespace dfs
