// What a program has open: an inode in use, how it may be used, and where its
// readers are.
#pragma once

#include <memory>
#include <mutex>

#include "common/client/file_system.h"
#include "common/client/inode_state.h"
#include "common/client/read_ahead.h"

namespace dfs {

// Threads: any.
class OpenFile {
 public:
  OpenFile(InodeStatePtr state, const OpenOptions& how, std::uint64_t read_ahead_max)
      : state_(std::move(state)), options_(how), read_ahead_(read_ahead_max) {}

  const InodeStatePtr& state() const { return state_; }
  const OpenOptions& options() const { return options_; }
  // What of `range` the kernel keeps locked in its pages while it waits for it to
  // be read or written: nothing, where it does not use them.
  FileRange locked_pages(const FileRange& range) const {
    return options_.direct || options_.past_pages ? FileRange{} : range;
  }

  FileRange on_read(std::uint64_t offset, std::uint64_t length, std::uint64_t size) {
    const std::lock_guard lock(mutex_);
    return read_ahead_.on_read(offset, length, size);
  }

 private:
  const InodeStatePtr state_;
  const OpenOptions options_;
  std::mutex mutex_;
  ReadAhead read_ahead_;
};

}  // namespace dfs
