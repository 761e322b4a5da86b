// Ranges of a file, each with the place where its bytes are.
//
// The ranges never overlap: a newer one takes the place of what it covers.
// Neighbours that continue each other, in the file and in their source, are
// one range. Pure; not thread-safe.
//
// Used with chunks on the servers (extent_map.h) and with chunks that wait
// to be uploaded (dirty_file.h).
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <vector>

namespace dfs {

template <typename Source>
class RangeMap {
 public:
  // [offset, end()) of the file is [source_offset, ...) of `source`.
  struct Range {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    Source source{};
    std::uint64_t source_offset = 0;

    std::uint64_t end() const { return offset + length; }
    friend bool operator==(const Range&, const Range&) = default;
  };

  // Puts `range` in. `dropped(const Range&)` hears of each piece that lost its place.
  template <typename Dropped>
  void insert(const Range& range, Dropped&& dropped);
  // Makes [offset, offset + length) empty.
  template <typename Dropped>
  void erase(std::uint64_t offset, std::uint64_t length, Dropped&& dropped);
  // Takes out those parts of `range` that still lie where it says.
  template <typename Dropped>
  void erase_same(const Range& range, Dropped&& dropped);

  // Calls `visit(const Range&)` for what overlaps [offset, offset + length),
  // cut to it, in order.
  template <typename Visit>
  void visit(std::uint64_t offset, std::uint64_t length, Visit&& visit) const;
  bool overlaps(std::uint64_t offset, std::uint64_t length) const;
  // The first range that ends after `offset`, from there on.
  std::optional<Range> next(std::uint64_t offset) const;

  std::size_t size() const { return pieces_.size(); }
  bool empty() const { return pieces_.empty(); }
  std::uint64_t bytes() const { return bytes_; }
  // Where the last range ends; 0 when there is none.
  std::uint64_t end_offset() const {
    if (pieces_.empty()) return 0;
    const auto last = std::prev(pieces_.end());
    return last->first + last->second.length;
  }
  void clear() {
    pieces_.clear();
    bytes_ = 0;
  }

 private:
  struct Piece {
    std::uint64_t length;
    Source source;
    std::uint64_t source_offset;
  };
  using Pieces = std::map<std::uint64_t, Piece>;

  // The first piece that ends after `offset`.
  typename Pieces::const_iterator first_after(std::uint64_t offset) const {
    auto it = pieces_.upper_bound(offset);
    if (it != pieces_.begin()) {
      const auto before = std::prev(it);
      if (before->first + before->second.length > offset) return before;
    }
    return it;
  }

  Pieces pieces_;
  std::uint64_t bytes_ = 0;
};

template <typename Source>
template <typename Visit>
void RangeMap<Source>::visit(std::uint64_t offset, std::uint64_t length, Visit&& visit) const {
  const std::uint64_t end = offset + length;
  for (auto it = first_after(offset); it != pieces_.end() && it->first < end; ++it) {
    const std::uint64_t from = std::max(it->first, offset);
    const std::uint64_t to = std::min(it->first + it->second.length, end);
    visit(Range{from, to - from, it->second.source, it->second.source_offset + (from - it->first)});
  }
}

template <typename Source>
bool RangeMap<Source>::overlaps(std::uint64_t offset, std::uint64_t length) const {
  const auto it = first_after(offset);
  return it != pieces_.end() && it->first < offset + length;
}

template <typename Source>
std::optional<typename RangeMap<Source>::Range> RangeMap<Source>::next(std::uint64_t offset) const {
  const auto it = first_after(offset);
  if (it == pieces_.end()) return std::nullopt;
  const std::uint64_t from = std::max(it->first, offset);
  const std::uint64_t skipped = from - it->first;
  return Range{from, it->second.length - skipped, it->second.source,
               it->second.source_offset + skipped};
}

template <typename Source>
template <typename Dropped>
void RangeMap<Source>::erase(std::uint64_t offset, std::uint64_t length, Dropped&& dropped) {
  const std::uint64_t end = offset + length;
  auto found = first_after(offset);
  // A const_iterator becomes an iterator by erasing nothing.
  auto it = pieces_.erase(found, found);
  while (it != pieces_.end() && it->first < end) {
    const std::uint64_t piece_start = it->first;
    const Piece piece = it->second;
    const std::uint64_t piece_end = piece_start + piece.length;
    const std::uint64_t from = std::max(piece_start, offset);
    const std::uint64_t to = std::min(piece_end, end);

    if (from > piece_start) {
      it->second.length = from - piece_start;
      ++it;
    } else {
      it = pieces_.erase(it);
    }
    if (to < piece_end) {
      it = pieces_.emplace_hint(
          it, to, Piece{piece_end - to, piece.source, piece.source_offset + (to - piece_start)});
    }
    bytes_ -= to - from;
    dropped(Range{from, to - from, piece.source, piece.source_offset + (from - piece_start)});
    if (to < piece_end) return;
  }
}

template <typename Source>
template <typename Dropped>
void RangeMap<Source>::insert(const Range& range, Dropped&& dropped) {
  if (range.length == 0) return;
  erase(range.offset, range.length, dropped);
  bytes_ += range.length;

  Range merged = range;
  auto next = pieces_.lower_bound(range.offset);
  if (next != pieces_.end() && next->first == merged.end() &&
      next->second.source == merged.source &&
      next->second.source_offset == merged.source_offset + merged.length) {
    merged.length += next->second.length;
    next = pieces_.erase(next);
  }
  if (next != pieces_.begin()) {
    const auto before = std::prev(next);
    if (before->first + before->second.length == merged.offset &&
        before->second.source == merged.source &&
        before->second.source_offset + before->second.length == merged.source_offset) {
      before->second.length += merged.length;
      return;
    }
  }
  pieces_.emplace_hint(next, merged.offset,
                       Piece{merged.length, merged.source, merged.source_offset});
}

template <typename Source>
template <typename Dropped>
void RangeMap<Source>::erase_same(const Range& range, Dropped&& dropped) {
  std::vector<Range> same;
  visit(range.offset, range.length, [&](const Range& piece) {
    if (piece.source == range.source &&
        piece.source_offset - range.source_offset == piece.offset - range.offset) {
      same.push_back(piece);
    }
  });
  for (const Range& piece : same) erase(piece.offset, piece.length, dropped);
}

}  // namespace dfs
