// How many bytes may be under way at once: received and not yet written and
// forwarded, or read and not yet sent. Whoever finds it used up stops
// producing and is called when there is room again.
//
// Threads: any. Charges hold their budget: memory that gRPC still sends may
// outlive everybody else.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace dfs::storage {

class ByteBudget {
 public:
  // `later` runs a callback soon, never inside the call: bytes are given back
  // in places (a destructor inside gRPC) where nothing may be started.
  ByteBudget(std::uint64_t limit, std::function<void(std::function<void()>)> later)
      : limit_(limit), later_(std::move(later)) {}

  class Charge {
   public:
    Charge(std::shared_ptr<ByteBudget> budget, std::uint64_t bytes)
        : budget_(std::move(budget)), bytes_(bytes) {
      budget_->take(bytes_);
    }
    Charge(const Charge&) = delete;
    Charge& operator=(const Charge&) = delete;
    ~Charge() { budget_->give_back(bytes_); }

   private:
    const std::shared_ptr<ByteBudget> budget_;
    const std::uint64_t bytes_;
  };

  std::uint64_t used() const {
    const std::lock_guard lock(mutex_);
    return used_;
  }
  // True: go on. False: stop; `resume` is called once when half is free again.
  bool has_room_or_wait(std::function<void()> resume) {
    const std::lock_guard lock(mutex_);
    if (used_ < limit_ || closed_) return true;
    waiting_.push_back(std::move(resume));
    return false;
  }
  // Nobody is called any more.
  void close() {
    std::vector<std::function<void()>> forgotten;  // freed outside the lock
    const std::lock_guard lock(mutex_);
    forgotten.swap(waiting_);
    closed_ = true;
  }

 private:
  void take(std::uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    used_ += bytes;
  }
  void give_back(std::uint64_t bytes) {
    std::vector<std::function<void()>> woken;
    {
      const std::lock_guard lock(mutex_);
      used_ -= bytes;
      if (waiting_.empty() || used_ > limit_ / 2) return;
      woken.swap(waiting_);
    }
    for (auto& resume : woken) later_(std::move(resume));
  }

  const std::uint64_t limit_;
  const std::function<void(std::function<void()>)> later_;
  mutable std::mutex mutex_;
  std::uint64_t used_ = 0;
  bool closed_ = false;
  std::vector<std::function<void()>> waiting_;
};

}  // namespace dfs::storage
