// Keeps a change of what may be told from overtaking answers that tell it.
//
// An answer looks whether the kernel may keep what it says, and says it, within
// one Reply. Whoever has changed the answer to that question calls pass(), and
// knows: what was decided before has been said.
//
// Threads: any. A Reply is short: it waits for nothing.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <mutex>

namespace dfs {

class ReplyBarrier {
 public:
  class Reply {
   public:
    explicit Reply(ReplyBarrier& barrier) : lock_(barrier.lane()) {}

   private:
    const std::lock_guard<std::mutex> lock_;
  };

  void pass() {
    for (Lane& lane : lanes_) const std::lock_guard lock(lane.mutex);
  }

 private:
  static constexpr std::size_t kLanes = 16;
  // Each on a cache line of its own: threads that answer do not meet.
  struct alignas(64) Lane {
    std::mutex mutex;
  };
  std::mutex& lane() {
    static std::atomic<std::size_t> next{0};
    thread_local const std::size_t mine = next.fetch_add(1);
    return lanes_[mine % kLanes].mutex;
  }

  std::array<Lane, kLanes> lanes_;
};

}  // namespace dfs
