// How fast copies may be made: so many bytes a second, with no more saved up
// than what was last spent.
//
// Threads: one.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "common/base/clock.h"

namespace dfs::storage {

class CopyPace {
 public:
  // `bytes_per_second` 0: no limit. `clock` must outlive the pace.
  CopyPace(const Clock& clock, std::uint64_t bytes_per_second)
      : clock_(clock), bytes_per_second_(bytes_per_second) {}

  void spent(std::uint64_t bytes) {
    if (bytes_per_second_ == 0) return;
    const std::chrono::duration<double> time{static_cast<double>(bytes) /
                                             static_cast<double>(bytes_per_second_)};
    free_at_ = std::max(free_at_, clock_.now()) +
               std::chrono::duration_cast<std::chrono::nanoseconds>(time);
  }
  // Before more may be spent.
  std::chrono::milliseconds wait() const {
    const auto left = free_at_ - clock_.now();
    return std::max(std::chrono::milliseconds{0},
                    std::chrono::ceil<std::chrono::milliseconds>(left));
  }

 private:
  const Clock& clock_;
  const std::uint64_t bytes_per_second_;
  SteadyTime free_at_{};
};

}  // namespace dfs::storage
