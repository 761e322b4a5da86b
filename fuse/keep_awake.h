// Keeps a second processor from falling asleep while requests follow each
// other closely.
//
// A program that waits for our reply leaves its processor idle; on a virtual
// machine an idle processor is given back to the host, and getting it again
// takes 20 to 40 microseconds, several times the request itself. A thread of
// the lowest scheduling class (SCHED_IDLE) that spins meanwhile prevents that,
// and gives way to anything else that wants to run.
//
// Threads: pulse() from any; the rest from the owner.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>

namespace dfs::fuse {

class KeepAwake {
 public:
  // Spins for `linger` after each pulse. Does nothing at all when that is
  // zero, or when the machine has one processor or more than a few.
  explicit KeepAwake(std::chrono::nanoseconds linger);
  ~KeepAwake();
  KeepAwake(const KeepAwake&) = delete;
  KeepAwake& operator=(const KeepAwake&) = delete;

  // A request came soon after another one.
  void pulse(std::int64_t now_ns) {
    if (!enabled_) return;
    last_pulse_ns_.store(now_ns, std::memory_order_relaxed);
    if (!awake_.load(std::memory_order_relaxed)) wake();
  }

 private:
  void wake();
  void run();

  const std::int64_t linger_ns_;
  bool enabled_ = false;
  std::atomic<std::int64_t> last_pulse_ns_{0};
  std::atomic<bool> awake_{false};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

// The clock of pulse().
inline std::int64_t steady_ns() {
  return std::chrono::steady_clock::now().time_since_epoch().count();
}

}  // namespace dfs::fuse
