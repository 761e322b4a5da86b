#include "tests/support/obstacles.h"

#include <algorithm>
#include <utility>

namespace dfs {

void Obstacles::slow_lookups(std::string prefix, std::chrono::milliseconds delay,
                             unsigned together) {
  const std::lock_guard lock(mutex_);
  slow_prefix_ = std::move(prefix);
  slow_delay_ = delay;
  slow_together_ = together;
}

unsigned Obstacles::slow_lookups_at_once_max() const {
  const std::lock_guard lock(mutex_);
  return slow_max_;
}

void Obstacles::block_reads(bool blocked) {
  const std::lock_guard lock(mutex_);
  reads_blocked_ = blocked;
  changed_.notify_all();
}

void Obstacles::wait_for_blocked_reads(unsigned count) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return blocked_reads_ >= count; });
}

void Obstacles::keep_attributes_away() {
  const std::lock_guard lock(mutex_);
  attributes_away_ = true;
}

void Obstacles::fail_contents(Errc code) {
  const std::lock_guard lock(mutex_);
  contents_error_ = code;
}

void Obstacles::fail_names(Errc code) {
  const std::lock_guard lock(mutex_);
  names_error_ = code;
}

void Obstacles::limit_copies(std::uint64_t bytes_max, Errc code) {
  const std::lock_guard lock(mutex_);
  copy_bytes_max_ = bytes_max;
  copy_error_ = code;
}

std::uint64_t Obstacles::interrupted() const {
  const std::lock_guard lock(mutex_);
  return interrupted_;
}

Result<void> Obstacles::pass_lookup(const std::string& name, Interrupt* interrupt) {
  std::unique_lock lock(mutex_);
  if (slow_delay_.count() == 0 || name.rfind(slow_prefix_, 0) != 0) return {};
  slow_max_ = std::max(slow_max_, ++slow_now_);
  changed_.notify_all();
  const auto until = std::chrono::steady_clock::now() + slow_delay_;
  const Interrupt::Wait wait(interrupt, changed_);
  bool interrupted = false;
  while (!interrupted && slow_max_ < slow_together_ && std::chrono::steady_clock::now() < until) {
    changed_.wait_until(lock, until);
    interrupted = interrupt != nullptr && interrupt->interrupted();
  }
  --slow_now_;
  if (!interrupted) return {};
  return interrupted_locked();
}

Result<void> Obstacles::pass_read(Interrupt* interrupt) {
  std::unique_lock lock(mutex_);
  if (!reads_blocked_) return {};
  ++blocked_reads_;
  changed_.notify_all();
  const Interrupt::Wait wait(interrupt, changed_);
  bool interrupted = false;
  while (reads_blocked_ && !interrupted) {
    changed_.wait_for(lock, std::chrono::milliseconds(100));
    interrupted = interrupt != nullptr && interrupt->interrupted();
  }
  --blocked_reads_;
  if (!interrupted) return {};
  return interrupted_locked();
}

Result<void> Obstacles::pass_contents() const {
  const std::lock_guard lock(mutex_);
  if (contents_error_ == Errc::ok) return {};
  return fail(contents_error_, "as the test wanted it");
}

Result<void> Obstacles::pass_new_name() const {
  const std::lock_guard lock(mutex_);
  if (names_error_ == Errc::ok) return {};
  return fail(names_error_, "as the test wanted it");
}

Result<std::uint64_t> Obstacles::pass_copy(std::uint64_t length) const {
  const std::lock_guard lock(mutex_);
  if (copy_error_ != Errc::ok) return fail(copy_error_, "as the test wanted it");
  return std::min(length, copy_bytes_max_);
}

bool Obstacles::attributes_are_away() const {
  const std::lock_guard lock(mutex_);
  return attributes_away_;
}

Result<void> Obstacles::interrupted_locked() {
  ++interrupted_;
  return fail(Errc::interrupted);
}

}  // namespace dfs
