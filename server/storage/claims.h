// Who is changing which chunk: two changes of one chunk happen one after
// another, changes of different chunks side by side.
//
// Threads: any. A claim is held for one write to the disk at most, and few
// are held at once, hence a plain list.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <utility>
#include <vector>

#include "common/base/ids.h"

namespace dfs::storage {

class Claims {
 public:
  class Claim {
   public:
    Claim(Claims& claims, ChunkId chunk) : claims_(&claims), chunk_(chunk) {}
    Claim(Claim&& other) noexcept
        : claims_(std::exchange(other.claims_, nullptr)), chunk_(other.chunk_) {}
    Claim& operator=(Claim&&) = delete;
    ~Claim() {
      if (claims_ != nullptr) claims_->release(chunk_);
    }

   private:
    Claims* claims_;
    ChunkId chunk_;
  };

  // Waits while somebody else holds it. Nobody who holds a claim may ask for
  // another one, except in ascending order.
  Claim claim(ChunkId chunk) {
    std::unique_lock lock(mutex_);
    released_.wait(lock, [&] { return std::find(held_.begin(), held_.end(), chunk) == held_.end(); });
    held_.push_back(chunk);
    return Claim(*this, chunk);
  }

 private:
  void release(ChunkId chunk) {
    {
      const std::lock_guard lock(mutex_);
      const auto found = std::find(held_.begin(), held_.end(), chunk);
      *found = held_.back();
      held_.pop_back();
    }
    released_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable released_;
  std::vector<ChunkId> held_;
};

}  // namespace dfs::storage
