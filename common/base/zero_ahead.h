// When to write zeros ahead of the end of a log that is synced often.
//
// An fdatasync after an append has to make the file system's own tables
// stable too, on a file system with a journal by a commit of it. Where the
// blocks were there and written before, it is the data alone: 240 us instead
// of 315 to 440 on the machine measured. So a log whose appends are synced
// one by one is written ahead with zeros, a run at a time; one that is synced
// now and then is not, because the zeros would be written for nothing.
//
// Threads: synced() any; before_append() one at a time.
#pragma once

#include <atomic>
#include <cstdint>

#include "common/base/bytes.h"
#include "common/base/ids.h"

namespace dfs {

class ZeroAhead {
 public:
  static constexpr std::uint64_t kRun = 1 * MiB;
  // Synced often: after so many bytes or fewer, and not just a few times.
  static constexpr std::uint64_t kBytesPerSyncMax = 32 * KiB;
  static constexpr std::uint64_t kSyncsMin = 16;

  // A log that ends at `end`, with nothing behind it.
  explicit ZeroAhead(std::uint64_t end) : zeroed_to_(end), counted_from_(end) {}

  void synced() { syncs_.fetch_add(1, std::memory_order_relaxed); }

  // How many zeros to write at `end` before something of `bytes` is written
  // there; 0: none. Counts on its being done, or on given_up().
  std::uint64_t before_append(std::uint64_t end, std::uint64_t bytes) {
    if (end + bytes <= zeroed_to_) return 0;
    const std::uint64_t syncs = syncs_.load(std::memory_order_relaxed);
    const std::uint64_t appended = end - counted_from_;
    const bool often = syncs >= kSyncsMin && appended <= syncs * kBytesPerSyncMax;
    if (!often && appended < kRun) return 0;
    counted_from_ = end;
    syncs_.store(0, std::memory_order_relaxed);
    if (!often) return 0;
    zeroed_to_ = end + bytes + kRun;
    return bytes + kRun;
  }
  // There was no room for the zeros.
  void given_up(std::uint64_t end) { zeroed_to_ = end; }

  // Zeros may lie behind the log's end up to here.
  std::uint64_t zeroed_to() const { return zeroed_to_; }

 private:
  std::uint64_t zeroed_to_;
  std::uint64_t counted_from_;  // where syncs_ began to count
  std::atomic<std::uint64_t> syncs_{0};
};

}  // namespace dfs
