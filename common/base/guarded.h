// Data that lives inside its lock and can be reached only through it.
#pragma once

#include <condition_variable>
#include <mutex>
#include <utility>

namespace dfs {

template <typename T>
class Guarded {
 public:
  Guarded() = default;
  explicit Guarded(T value) : value_(std::move(value)) {}
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  // Runs `work(value)` under the lock and returns what it returns. Keep it
  // short: no calls into other rooms, no waiting.
  template <typename Work>
  decltype(auto) with(Work&& work) {
    const std::lock_guard lock(mutex_);
    return std::forward<Work>(work)(value_);
  }
  template <typename Work>
  decltype(auto) with(Work&& work) const {
    const std::lock_guard lock(mutex_);
    return std::forward<Work>(work)(value_);
  }

 private:
  mutable std::mutex mutex_;
  T value_{};
};

}  // namespace dfs
