// The time seam. Whatever decides by time is handed a Clock, so that tests
// move time by hand (tests/support/fake_clock.h).
#pragma once

#include <chrono>
#include <cstdint>

namespace dfs {

using SteadyTime = std::chrono::steady_clock::time_point;
// Nanoseconds since 1970-01-01 UTC, the form in which times are stored.
using WallNanos = std::int64_t;

class Clock {
 public:
  virtual ~Clock() = default;
  // Never goes back; for intervals and deadlines.
  virtual SteadyTime now() const = 0;
  // The calendar; may jump. For timestamps that people see.
  virtual WallNanos wall() const = 0;
};

// The machine's clocks. Threads: any.
class SystemClock final : public Clock {
 public:
  SteadyTime now() const override;
  WallNanos wall() const override;
  // One shared instance that lives as long as the process.
  static SystemClock& instance();
};

}  // namespace dfs
