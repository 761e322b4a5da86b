#include "server/meta/salvage/file_layout.h"

#include <algorithm>
#include <iterator>
#include <tuple>

namespace dfs {

void FileLayout::lay(const LaidChunk& chunk) {
  std::uint32_t at = 0;
  for (const FileRun& run : chunk.runs) {
    if (run.file_offset != kNowhere) lay_run(chunk, run, at);
    at += run.length;
  }
}

void FileLayout::lay_run(const LaidChunk& chunk, const FileRun& run, std::uint32_t chunk_offset) {
  const std::uint64_t end = run.file_offset + run.length;
  cut_at(run.file_offset);
  cut_at(end);
  const auto from = pieces_.lower_bound(run.file_offset);
  const auto to = pieces_.lower_bound(end);
  const bool dated = chunk.written != 0;
  for (auto under = from; under != to; ++under)
    if (!dated && !under->second.dated && under->second.chunk != chunk.chunk) ambiguous_ = true;
  pieces_.erase(from, to);
  pieces_[run.file_offset] = {end, chunk.chunk, chunk_offset, dated};
}

void FileLayout::cut_at(std::uint64_t offset) {
  const auto after = pieces_.upper_bound(offset);
  if (after == pieces_.begin()) return;
  const auto [start, piece] = *std::prev(after);
  if (start == offset || piece.end <= offset) return;
  Piece tail = piece;
  tail.chunk_offset += static_cast<std::uint32_t>(offset - start);
  pieces_[start].end = offset;
  pieces_[offset] = tail;
}

std::vector<Extent> FileLayout::extents() const {
  std::vector<Extent> extents;
  for (const auto& [offset, piece] : pieces_) {
    const auto length = static_cast<std::uint32_t>(piece.end - offset);
    if (!extents.empty()) {
      Extent& last = extents.back();
      const bool continues = last.chunk == piece.chunk && last.file_offset + last.length == offset &&
                             last.chunk_offset + last.length == piece.chunk_offset;
      if (continues) {
        last.length += length;
        continue;
      }
    }
    extents.push_back({offset, length, piece.chunk, piece.chunk_offset});
  }
  return extents;
}

std::uint64_t FileLayout::size() const {
  return pieces_.empty() ? 0 : std::prev(pieces_.end())->second.end;
}

void sort_by_time(std::vector<LaidChunk>& chunks) {
  std::sort(chunks.begin(), chunks.end(), [](const LaidChunk& a, const LaidChunk& b) {
    return std::tie(a.written, a.chunk) < std::tie(b.written, b.chunk);
  });
}

}  // namespace dfs
