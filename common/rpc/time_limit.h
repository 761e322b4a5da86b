// Interrupts a wait that takes too long, while it lives.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "common/rpc/interrupt.h"

namespace dfs {

class TimeLimit {
 public:
  explicit TimeLimit(std::chrono::milliseconds limit) : thread_([this, limit] { run(limit); }) {}
  ~TimeLimit() {
    {
      const std::lock_guard lock(mutex_);
      over_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  TimeLimit(const TimeLimit&) = delete;
  TimeLimit& operator=(const TimeLimit&) = delete;

  // For the wait; it fires once, after the limit.
  Interrupt& interrupt() { return interrupt_; }

 private:
  void run(std::chrono::milliseconds limit) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, limit, [this] { return over_; })) interrupt_.interrupt();
  }

  Interrupt interrupt_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool over_ = false;
  std::thread thread_;  // last: it uses the rest
};

}  // namespace dfs
