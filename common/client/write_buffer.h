// The memory for bytes that are written and not yet acknowledged: blocks of
// kBlockSize, taken from one region and recycled, so that writing touches the
// same warm pages again and again.
//
// Bound: never more than `bytes_max` (rounded down to whole blocks) over all
// files.
// Threads: any. Blocks return by themselves when their BlockList ends.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/client/memory_region.h"
#include "common/client/write_journal.h"
#include "common/client/wait.h"

namespace dfs {

class WriteBuffer;
class WriteLog;

// Some blocks of a WriteBuffer, owned.
class BlockList {
 public:
  explicit BlockList(WriteBuffer& buffer) : buffer_(&buffer) {}
  BlockList(const BlockList&) = delete;
  BlockList& operator=(const BlockList&) = delete;
  ~BlockList();

  std::size_t size() const { return blocks_.size(); }
  bool empty() const { return blocks_.empty(); }
  std::byte* operator[](std::size_t index) const { return blocks_[index]; }
  // Moves one block from `other`, which has one, to the end of this list.
  void adopt(BlockList& other);

 private:
  friend class WriteBuffer;
  WriteBuffer* buffer_;
  std::vector<std::byte*> blocks_;
};

class WriteBuffer {
 public:
  static constexpr std::size_t kBlock = kBlockSize;

  // With a journal, which outlives it, the blocks are the journal's, and those that a
  // former process used are in use. With a log, what is written to them is in that too.
  explicit WriteBuffer(std::size_t bytes_max, WriteJournal* journal = nullptr,
                       WriteLog* log = nullptr);
  WriteBuffer(const WriteBuffer&) = delete;
  WriteBuffer& operator=(const WriteBuffer&) = delete;

  // All of `count` blocks into `into`, or false and none.
  [[nodiscard]] bool try_take(std::size_t count, BlockList& into);
  // Blocks of a former process.
  void take_former(const std::vector<std::byte*>& blocks, BlockList& into);
  WriteJournal* journal() const { return journal_; }
  WriteLog* log() const { return log_; }
  // Waits until `count` blocks are free; they may be gone again when it returns.
  // While somebody waits, pressed() is true.
  Wake wait_for_room(std::size_t count, const WaitLimits& limits);
  bool pressed() const;

  std::size_t blocks_max() const { return blocks_max_; }
  std::size_t used_bytes() const;

 private:
  friend class BlockList;
  void give(std::vector<std::byte*>& blocks);

  const std::size_t blocks_max_;
  WriteJournal* const journal_;
  WriteLog* const log_;
  std::optional<MemoryRegion> own_;  // without a journal
  std::byte* const memory_;
  mutable std::mutex mutex_;
  std::condition_variable returned_;
  std::vector<std::byte*> free_;
  std::size_t never_used_ = 0;  // blocks from this one on have not been handed out yet
  std::size_t used_ = 0;
  std::size_t waiting_ = 0;
};

}  // namespace dfs
