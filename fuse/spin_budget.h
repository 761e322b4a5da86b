// How long a thread may look for the next request without sleeping.
//
// Between two looks it offers its processor to whoever wants it. When that was
// a program that only needed a moment (often the one whose request comes
// next), spinning goes on. When it was somebody with real work, the processors
// are wanted: then nobody spins for a while, because a thread that sleeps is
// put back to work at once when a request comes, and one that gave way is not.
//
// Threads: any; one spins at a time.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace dfs::fuse {

class SpinBudget {
 public:
  explicit SpinBudget(std::chrono::microseconds spin_max)
      : spin_max_ns_(std::chrono::nanoseconds(spin_max).count()) {}

  // True if a thread that has been looking since `looking_since_ns`
  // (steady_ns()) may look again; it has given way in between.
  bool may_go_on(std::int64_t looking_since_ns);

 private:
  const std::int64_t spin_max_ns_;
  std::atomic<std::int64_t> resting_until_ns_{0};
};

}  // namespace dfs::fuse
