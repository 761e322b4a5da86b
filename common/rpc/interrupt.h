// How a waiting call learns that nobody waits for it any more.
//
// A signal to the program (or the end of it) interrupts the kernel's request;
// the FUSE layer calls interrupt(), and whoever waits inside returns
// Errc::interrupted. Waits take `Interrupt*`; null means: cannot be interrupted.
//
// Threads: any. An Interrupt outlives every wait that was handed it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace dfs {

class Interrupt {
 public:
  void interrupt() {
    std::condition_variable* waiting = nullptr;
    const std::lock_guard lock(mutex_);
    interrupted_ = true;
    waiting = waiting_;
    if (waiting != nullptr) waiting->notify_all();
  }
  bool interrupted() const {
    const std::lock_guard lock(mutex_);
    return interrupted_;
  }

  // Registers the condition variable that interrupt() shall notify while this
  // object lives. The waiter re-checks interrupted() itself, and bounds each
  // sleep (100 ms is the custom) because the notification is sent without the
  // waiter's own mutex.
  class Wait {
   public:
    Wait(Interrupt* interrupt, std::condition_variable& condition) : interrupt_(interrupt) {
      if (interrupt_ == nullptr) return;
      const std::lock_guard lock(interrupt_->mutex_);
      interrupt_->waiting_ = &condition;
    }
    ~Wait() {
      if (interrupt_ == nullptr) return;
      const std::lock_guard lock(interrupt_->mutex_);
      interrupt_->waiting_ = nullptr;
    }
    Wait(const Wait&) = delete;
    Wait& operator=(const Wait&) = delete;

   private:
    Interrupt* interrupt_;
  };

 private:
  mutable std::mutex mutex_;
  bool interrupted_ = false;
  std::condition_variable* waiting_ = nullptr;
};

}  // namespace dfs
