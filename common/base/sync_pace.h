// Whether forcing bytes to stable media is quick enough to be done in place.
//
// Handing a sync to a thread of its own costs two thread wake-ups, up to 40 us
// each on a virtual machine; a good disk needs 100 to 200 us for the sync
// itself. So while the disk is known to be quick, the thread that wants the
// sync does it, and everybody else of that thread waits as long; a disk that
// becomes slow is noticed by the first sync that is, and the others then go
// to the thread until it is quick again.
//
// Threads: any.
#pragma once

#include <atomic>
#include <chrono>

namespace dfs {

class SyncPace {
 public:
  static constexpr std::chrono::microseconds kQuick{500};

  // A sync took this long.
  void took(std::chrono::nanoseconds time) {
    const std::int64_t old = average_.load(std::memory_order_relaxed);
    // One slow sync outweighs many quick ones: the average jumps up and comes
    // down slowly.
    const std::int64_t now = time.count();
    average_.store(now > old ? (old + now) / 2 : old + (now - old) / 8, std::memory_order_relaxed);
  }
  // False until the first syncs have been measured.
  bool is_quick() const {
    return average_.load(std::memory_order_relaxed) <
           std::chrono::nanoseconds(kQuick).count();
  }

 private:
  std::atomic<std::int64_t> average_{std::chrono::nanoseconds(4 * kQuick).count()};
};

}  // namespace dfs
