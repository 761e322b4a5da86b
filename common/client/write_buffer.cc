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

WriteBuffer::WriteBuffer(std::size_t bytes_max, WriteJournal* journal, WriteLog* log)
    : blocks_max_(bytes_max / kBlock),
      journal_(journal),
      log_(log),
      own_(journal == nullptr ? std::optional<MemoryRegion>(std::in_place, blocks_max_ * kBlock)
                              : std::nullopt),
      memory_(journal == nullptr ? own_->data() : journal->blocks().data()) {
  free_.reserve(blocks_max_);
  if (journal_ == nullptr) return;
  invariant(journal_->blocks().size() >= blocks_max_ * kBlock, "the journal has all blocks");
  // Those behind the last one that was used are handed out in order, as new ones.
  for (std::size_t at = 0; at < blocks_max_; ++at)
    if (journal_->is_in_use(at)) never_used_ = at + 1;
  for (std::size_t at = never_used_; at-- > 0;) {
    if (journal_->is_in_use(at)) {
      ++used_;
    } else {
      free_.push_back(memory_ + at * kBlock);
    }
  }
}

void WriteBuffer::take_former(const std::vector<std::byte*>& blocks, BlockList& into) {
  into.blocks_.insert(into.blocks_.end(), blocks.begin(), blocks.end());
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
      into.blocks_.push_back(memory_ + never_used_++ * kBlock);
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
  if (journal_ != nullptr)
    for (const std::byte* block : blocks) journal_->free_block(block);
  const std::lock_guard lock(mutex_);
  used_ -= blocks.size();
  free_.insert(free_.end(), blocks.begin(), blocks.end());
  blocks.clear();
  if (waiting_ > 0) returned_.notify_all();
}

}  // namespace dfs
