// Waiting on a condition variable with everything that may end the wait.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>

#include "common/base/clock.h"
#include "common/rpc/interrupt.h"

namespace dfs {

enum class Wake { ready, interrupted, expired };

struct WaitLimits {
  const Clock& clock;
  Interrupt* interrupt = nullptr;
  std::optional<SteadyTime> deadline;  // by `clock`
};

// The longest sleep between two looks at the clock and the interrupt: both
// may change without notifying `condition`.
inline constexpr std::chrono::milliseconds kWaitSlice{100};

// Waits, `lock` held on `condition`'s mutex, until `ready()` or a limit.
// What is ready counts as ready even if it was interrupted too.
template <typename Ready>
Wake wait_until(std::unique_lock<std::mutex>& lock, std::condition_variable& condition,
                const WaitLimits& limits, Ready&& ready) {
  if (ready()) return Wake::ready;
  const Interrupt::Wait registered(limits.interrupt, condition);
  for (;;) {
    if (ready()) return Wake::ready;
    if (limits.interrupt != nullptr && limits.interrupt->interrupted()) return Wake::interrupted;
    auto slice = std::chrono::duration_cast<std::chrono::nanoseconds>(kWaitSlice);
    if (limits.deadline) {
      const auto left = *limits.deadline - limits.clock.now();
      if (left <= left.zero()) return Wake::expired;
      slice = std::min(slice, std::chrono::duration_cast<std::chrono::nanoseconds>(left));
    }
    condition.wait_for(lock, slice);
  }
}

}  // namespace dfs
