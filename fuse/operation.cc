#include "fuse/operation.h"

#include <chrono>
#include <string>

#include "common/base/log.h"

namespace dfs::fuse {
namespace {

constexpr std::array<std::string_view, static_cast<std::size_t>(Operation::count_)> kNames = {
    "lookup",   "getattr",  "setattr",   "readlink",    "mknod",       "mkdir",
    "unlink",   "rmdir",    "symlink",   "rename",      "link",        "open",
    "read",     "write",    "statfs",    "release",     "fsync",       "setxattr",
    "getxattr", "listxattr", "removexattr", "flush",    "opendir",     "readdir",
    "readdirplus", "releasedir", "fsyncdir", "create",  "fallocate",   "lseek",
    "copy_file_range", "getlk", "setlk", "flock"};

constexpr std::chrono::seconds kWindow{10};
constexpr unsigned kLinesPerWindow = 20;

}  // namespace

std::string_view name_of(Operation operation) {
  return kNames[static_cast<std::size_t>(operation)];
}

bool is_our_fault(Errc code) {
  // From `unavailable` on, codes stay between our programs.
  return code == Errc::io || code >= Errc::unavailable;
}

OperationLog::OperationLog(const Clock& clock)
    : clock_(clock),
      failures_(metrics().counter("dfs_mount_failures_total",
                                  "Requests that failed through no fault of the program.")) {
  for (std::size_t index = 0; index < counters_.size(); ++index) {
    counters_[index] = &metrics().counter("dfs_mount_requests_total", "Requests of the kernel.",
                                          {{"operation", std::string(kNames[index])}});
  }
}

void OperationLog::failed(Operation operation, InodeId inode, const Error& error) {
  if (!is_our_fault(error.code)) return;
  failures_.add();
  const std::int64_t window = clock_.now().time_since_epoch() / kWindow;
  if (window_.exchange(window) != window) lines_in_window_ = 0;
  const unsigned line = ++lines_in_window_;
  if (line < kLinesPerWindow) {
    log_warn("fuse", "{} of inode {} failed: {}", name_of(operation), inode.value(),
             error.to_string());
  } else if (line == kLinesPerWindow) {
    log_warn("fuse", "more failures follow; they are counted, not logged, for up to {} s",
             kWindow.count());
  }
}

}  // namespace dfs::fuse
