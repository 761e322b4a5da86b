#include "common/base/clock.h"

namespace dfs {

SteadyTime SystemClock::now() const { return std::chrono::steady_clock::now(); }

WallNanos SystemClock::wall() const {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

SystemClock& SystemClock::instance() {
  static SystemClock clock;
  return clock;
}

}  // namespace dfs
