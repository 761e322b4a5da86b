// A clock that stands still until a test moves it. Threads: any.
#pragma once

#include <atomic>
#include <chrono>

#include "common/base/clock.h"

namespace dfs {

class FakeClock final : public Clock {
 public:
  SteadyTime now() const override {
    return SteadyTime{std::chrono::nanoseconds{steady_.load()}};
  }
  WallNanos wall() const override { return wall_.load(); }

  void advance(std::chrono::nanoseconds by) {
    steady_ += by.count();
    wall_ += by.count();
  }
  // The calendar alone, as when somebody sets the clock.
  void jump_wall(std::chrono::nanoseconds by) { wall_ += by.count(); }

 private:
  std::atomic<std::int64_t> steady_{1'000'000'000};
  std::atomic<std::int64_t> wall_{1'700'000'000'000'000'000};
};

}  // namespace dfs
