// How many bytes a second have been copied lately.
// Threads: one.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <utility>

#include "common/base/clock.h"

namespace dfs {

class CopyRate {
 public:
  void add(std::uint64_t bytes, SteadyTime now) {
    forget(now);
    if (bytes == 0) return;
    // One entry a second at most: what is kept is bounded.
    if (latest_.empty() || now - latest_.back().first >= std::chrono::seconds{1})
      latest_.emplace_back(now, 0);
    latest_.back().second += bytes;
  }
  // Over the last half minute, or since it began if that is later.
  std::uint64_t per_second(SteadyTime now) const {
    std::uint64_t bytes = 0;
    SteadyTime since = now;
    for (const auto& [at, count] : latest_) {
      if (now - at > kWindow) continue;
      bytes += count;
      since = std::min(since, at);
    }
    const std::chrono::duration<double> took = now - since + std::chrono::seconds{1};
    return static_cast<std::uint64_t>(static_cast<double>(bytes) / took.count());
  }

 private:
  static constexpr std::chrono::seconds kWindow{30};

  void forget(SteadyTime now) {
    while (!latest_.empty() && now - latest_.front().first > kWindow) latest_.pop_front();
  }
  std::deque<std::pair<SteadyTime, std::uint64_t>> latest_;
};

}  // namespace dfs
