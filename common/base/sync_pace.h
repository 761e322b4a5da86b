// Whether forcing bytes to stable media is quick enough to be done in place.
//
// Handing a sync to a thread of its own costs two thread wake-ups, up to 40 us
// each on a virtual machine; a good disk needs 100 to 200 us for the sync
// itself. So while the disk is known to be quick, the thread that wants the
// sync does it, and everybody else of that thread waits as long; a disk that
// becomes slow is noticed by the second sync that is, and the others then go
// to the thread until it is quick again. One slow sync says nothing: it may
// have had more to carry than the others.
//
// Threads: any.
#pragma once

#include <atomic>
#include <bit>
#include <chrono>
#include <cstdint>

namespace dfs {

class SyncPace {
 public:
  static constexpr std::chrono::microseconds kQuick{500};

  // A sync took this long.
  void took(std::chrono::nanoseconds time) {
    const unsigned slow = time > kQuick ? 1 : 0;
    slow_.store(static_cast<std::uint8_t>(slow_.load(std::memory_order_relaxed) << 1 | slow),
                std::memory_order_relaxed);
  }
  // False until several syncs have been measured.
  bool is_quick() const { return std::popcount(slow_.load(std::memory_order_relaxed)) <= 1; }

 private:
  // Of the last eight syncs, a bit for each that was slow.
  std::atomic<std::uint8_t> slow_{0xff};
};

}  // namespace dfs
