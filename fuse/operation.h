// The kinds of requests, counted; and their failures, logged where they stop.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/metrics.h"
#include "common/base/result.h"

namespace dfs::fuse {

enum class Operation : std::uint8_t {
  lookup, getattr, setattr, readlink, mknod, mkdir, unlink, rmdir, symlink, rename, link, open,
  read, write, statfs, release, fsync, setxattr, getxattr, listxattr, removexattr, flush, opendir,
  readdir, readdirplus, releasedir, fsyncdir, create, fallocate, lseek, copy_file_range,
  getlk, setlk, flock,
  count_
};
std::string_view name_of(Operation operation);

// Threads: any.
class OperationLog {
 public:
  // Counts under dfs_mount_requests_total{operation=...} and
  // dfs_mount_failures_total.
  explicit OperationLog(const Clock& clock);

  void count(Operation operation) {
    counters_[static_cast<std::size_t>(operation)]->add();
  }
  // An answer that is an error. What a program did wrong is not logged; what
  // we or the servers did is, a few lines in any ten seconds.
  void failed(Operation operation, InodeId inode, const Error& error);

 private:
  const Clock& clock_;
  std::array<Counter*, static_cast<std::size_t>(Operation::count_)> counters_;
  Counter& failures_;
  std::atomic<std::int64_t> window_{0};
  std::atomic<unsigned> lines_in_window_{0};
};

// True for failures of ours or of the servers, which a program only sees as EIO.
bool is_our_fault(Errc code);

}  // namespace dfs::fuse
