#include "fuse/spin_budget.h"

#include <sched.h>

#include "fuse/keep_awake.h"

namespace dfs::fuse {
namespace {

// A program that gets its reply, makes something of it and asks again is done
// in this time; a compiler is not.
constexpr std::int64_t kAwayMaxNs = 150'000;
// Finding out costs a time slice, some milliseconds, hence rarely.
constexpr std::int64_t kRestNs = 100'000'000;

}  // namespace

bool SpinBudget::may_go_on(std::int64_t looking_since_ns) {
  const std::int64_t before = steady_ns();
  if (before - looking_since_ns >= spin_max_ns_) return false;
  if (before < resting_until_ns_.load(std::memory_order_relaxed)) return false;
  ::sched_yield();
  const std::int64_t after = steady_ns();
  if (after - before <= kAwayMaxNs) return true;
  resting_until_ns_.store(after + kRestNs, std::memory_order_relaxed);
  return true;  // a request may have come meanwhile: one more look
}

}  // namespace dfs::fuse
