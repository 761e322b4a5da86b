// The locks of one owner on one file: ranges that never overlap, with
// neighbours of one kind joined, as fcntl(2) says. The metadata server keeps
// one for each owner, and so does the client of what it holds.
//
// Pure; not thread-safe.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <vector>

#include "common/rpc/types.h"

namespace dfs {

class LockRanges {
 public:
  struct Range {
    std::uint64_t start = 0;
    std::uint64_t end = 0;
    LockKind kind = LockKind::shared;
    std::uint32_t process = 0;
    friend bool operator==(const Range&, const Range&) = default;
  };

  // Gives the range of `lock` its kind, whatever was there; `unlocked` removes.
  void set(const FileLock& lock);

  // What overlaps [start, end), cut to it, in order.
  std::vector<Range> within(std::uint64_t start, std::uint64_t end) const;
  std::vector<Range> all() const { return within(0, kLockEndMax); }
  // The first range beside which `lock` of another owner cannot stand.
  std::optional<Range> in_the_way_of(const FileLock& lock) const;
  // All of the range of `lock` is of its kind.
  bool holds(const FileLock& lock) const;
  // Removing the range of `lock` would leave one piece more than there is.
  bool is_split_by(const FileLock& lock) const;

  std::size_t size() const { return pieces_.size(); }
  bool empty() const { return pieces_.empty(); }

 private:
  struct Piece {
    std::uint64_t end;
    LockKind kind;
    std::uint32_t process;
  };
  using Pieces = std::map<std::uint64_t, Piece>;

  // The first piece that ends after `offset`.
  Pieces::const_iterator first_after(std::uint64_t offset) const;
  void cut(std::uint64_t start, std::uint64_t end);

  Pieces pieces_;
};

inline LockRanges::Pieces::const_iterator LockRanges::first_after(std::uint64_t offset) const {
  auto next = pieces_.upper_bound(offset);
  if (next == pieces_.begin()) return next;
  const auto before = std::prev(next);
  return before->second.end > offset ? before : next;
}

inline void LockRanges::cut(std::uint64_t start, std::uint64_t end) {
  const auto found = first_after(start);
  auto at = pieces_.erase(found, found);  // an iterator of it
  while (at != pieces_.end() && at->first < end) {
    const std::uint64_t from = at->first;
    const Piece piece = at->second;
    if (from < start) {
      at->second.end = start;
      ++at;
    } else {
      at = pieces_.erase(at);
    }
    if (piece.end > end) at = pieces_.emplace_hint(at, end, piece);
  }
}

inline void LockRanges::set(const FileLock& lock) {
  cut(lock.start, lock.end);
  if (lock.kind == LockKind::unlocked) return;

  Piece piece{lock.end, lock.kind, lock.process};
  std::uint64_t start = lock.start;
  auto next = pieces_.lower_bound(start);
  if (next != pieces_.end() && next->first == piece.end && next->second.kind == piece.kind) {
    piece.end = next->second.end;
    next = pieces_.erase(next);
  }
  if (next != pieces_.begin()) {
    const auto before = std::prev(next);
    if (before->second.end == start && before->second.kind == piece.kind) {
      before->second = piece;
      return;
    }
  }
  pieces_.emplace_hint(next, start, piece);
}

inline std::vector<LockRanges::Range> LockRanges::within(std::uint64_t start, std::uint64_t end) const {
  std::vector<Range> found;
  for (auto at = first_after(start); at != pieces_.end() && at->first < end; ++at)
    found.push_back({std::max(at->first, start), std::min(at->second.end, end), at->second.kind,
                     at->second.process});
  return found;
}

inline std::optional<LockRanges::Range> LockRanges::in_the_way_of(const FileLock& lock) const {
  for (auto at = first_after(lock.start); at != pieces_.end() && at->first < lock.end; ++at)
    if (lock.kind == LockKind::exclusive || at->second.kind == LockKind::exclusive)
      return Range{at->first, at->second.end, at->second.kind, at->second.process};
  return std::nullopt;
}

inline bool LockRanges::holds(const FileLock& lock) const {
  std::uint64_t covered = lock.start;
  for (auto at = first_after(lock.start); at != pieces_.end() && at->first <= covered; ++at) {
    if (at->second.kind != lock.kind) return false;
    covered = at->second.end;
    if (covered >= lock.end) return true;
  }
  return false;
}

inline bool LockRanges::is_split_by(const FileLock& lock) const {
  const auto at = first_after(lock.start);
  return at != pieces_.end() && at->first < lock.start && at->second.end > lock.end;
}

}  // namespace dfs
