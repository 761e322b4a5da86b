#include "common/client/write_buffer.h"

namespace dfs {

BlockList::~BlockList() {
  if (!blocks_.empty()) buffer_->give(blocks_);
}

void BlockList::adopt(BlockList& other) {
  invariant(!other.blocks_.empty(), "a block is there to be moved");
  blocks_.push_back(other.blocks_.back());
  other.blocks_.pop_back();
}

WriteBuffer::WriteBuffer(std::size_t bytes_max)
    : blocks_max_(bytes_max / kBlock), region_(blocks_max_ * kBlock) {
  free_.reserve(blocks_max_);
}

bool WriteBuffer::try_take(std::size_t count, BlockList& into) {
  const std::lock_guard lock(mutex_);
  if (used_ + count > blocks_max_) return false;
  used_ += count;
  for (; count > 0; --count) {
    if (!free_.empty()) {
      into.blocks_.push_back(free_.back());
      free_.pop_back();
    } else {
      into.blocks_.push_back(region_.data() + never_used_++ * kBlock);
    }
  }
  return true;
}

Wake WriteBuffer::wait_for_room(std::size_t count, const WaitLimits& limits) {
  std::unique_lock lock(mutex_);
  ++waiting_;
  const Wake wake = wait_until(lock, returned_, limits,
                               [&] { return used_ + count <= blocks_max_; });
  --waiting_;
  return wake;
}

bool WriteBuffer::pressed() const {
  const std::lock_guard lock(mutex_);
  return waiting_ > 0;
}

std::size_t WriteBuffer::used_bytes() const {
  const std::lock_guard lock(mutex_);
  return used_ * kBlock;
}

void WriteBuffer::give(std::vector<std::byte*>& blocks) {
  const std::lock_guard lock(mutex_);
  used_ -= blocks.size();
  free_.insert(free_.end(), blocks.begin(), blocks.end());
  blocks.clear();
  if (waiting_ > 0) returned_.notify_all();
}

}  // namespace dfs
