// Whether a file open for writing may carry set-user-id or set-group-id bits.
//
// With FUSE_HANDLE_KILLPRIV_V2 it is our duty to drop them when somebody
// without the privilege writes, and the kernel marks every such write. Asking
// for the attributes each time would cost as much as the write, so a handle
// remembers that there were none: until somebody on this mount sets modes, and
// for the attribute timeout at most.
//
// Threads: any.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "common/base/clock.h"

namespace dfs::fuse {

// Counts the changes of modes on the whole mount, from 1.
class ModeChanges {
 public:
  void changed() { ++count_; }
  std::uint64_t count() const { return count_.load(std::memory_order_acquire); }

 private:
  std::atomic<std::uint64_t> count_{1};
};

class SetIdMemory {
 public:
  // True if the file was seen without the bits, and nothing says otherwise.
  bool known_absent(const ModeChanges& changes, SteadyTime now) const {
    return seen_at_change_.load(std::memory_order_acquire) == changes.count() &&
           now.time_since_epoch().count() < valid_until_.load(std::memory_order_relaxed);
  }
  // `at_change`: the count from before the attributes were asked for.
  void saw_none(std::uint64_t at_change, SteadyTime valid_until) {
    valid_until_.store(valid_until.time_since_epoch().count(), std::memory_order_relaxed);
    seen_at_change_.store(at_change, std::memory_order_release);
  }

 private:
  std::atomic<std::uint64_t> seen_at_change_{0};
  std::atomic<SteadyTime::rep> valid_until_{0};
};

}  // namespace dfs::fuse
