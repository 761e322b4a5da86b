// The waits of all requests in work, so that the end of the mount can end them.
// Threads: any.
#pragma once

#include <mutex>
#include <unordered_set>

#include "common/rpc/interrupt.h"

namespace dfs::fuse {

class InFlight {
 public:
  void add(Interrupt& interrupt) {
    const std::lock_guard lock(mutex_);
    waits_.insert(&interrupt);
    if (closing_) interrupt.interrupt();
  }
  void remove(Interrupt& interrupt) {
    const std::lock_guard lock(mutex_);
    waits_.erase(&interrupt);
  }
  // Interrupts what is in work and what comes later.
  void interrupt_all() {
    const std::lock_guard lock(mutex_);
    closing_ = true;
    for (Interrupt* wait : waits_) wait->interrupt();
  }

 private:
  std::mutex mutex_;
  bool closing_ = false;
  std::unordered_set<Interrupt*> waits_;
};

}  // namespace dfs::fuse
