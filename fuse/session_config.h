// How one mount talks to the kernel.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "common/base/ids.h"
#include "common/base/result.h"

namespace dfs::fuse {

// The largest read and write the kernel sends as one request. Its own default
// limit (fs.fuse.max_pages_limit) is 256 pages.
inline constexpr std::size_t kRequestBytesMax = 1 * MiB;

// Features that the kernel uses only when the answer to FUSE_INIT asks for
// them. Each needs the kernel's offer too. libfuse 3.14 forgets the first two, and
// a part of the third.
struct KernelFeatures {
  // Lookups and listings of one directory run side by side.
  bool parallel_directory_operations = true;
  // Set-id bits are dropped by us, so the kernel does not ask for the
  // attribute security.capability before every write.
  bool handle_kill_privileges = true;
  // The kernel enforces POSIX access control lists and leaves the umask to us;
  // without this they are refused.
  bool access_control_lists = true;
  // What goes past the kernel's pages can be mapped all the same.
  bool mapped_direct_io = true;
  // Direct I/O of one call goes out as several requests at once, and aio is
  // asynchronous. Not the default: the kernel then waits for the answers
  // without listening to signals, even to SIGKILL.
  bool asynchronous_direct_io = false;
};

struct SessionConfig {
  // How long the kernel answers from what it was told, without asking again.
  // Other mounts' changes show after this long at the latest.
  std::chrono::milliseconds attribute_timeout{1000};
  std::chrono::milliseconds entry_timeout{1000};

  // What the kernel reads ahead of a sequential reader; it starts at 128 KiB
  // on a FUSE mount, which is one eighth of a request.
  std::uint64_t read_ahead_bytes = 2 * MiB;

  // Threads that serve requests. They are started one by one when all are
  // busy, and end again after `thread_idle`.
  unsigned threads_max = 64;
  unsigned threads_min = 2;
  // How long a thread looks for the next request before it sleeps (0: not at
  // all), and whether a second processor is kept awake meanwhile.
  std::chrono::microseconds spin{50};
  bool keep_awake = true;
  // The file system mostly knows what names lead to and what is in directories.
  bool names_are_known = false;
  std::chrono::milliseconds thread_idle{5000};
  // Requests kept aside while every thread is busy, so that interrupts behind
  // them are still read; and their bytes.
  std::size_t backlog_max = 1024;
  std::size_t backlog_bytes_max = 16 * MiB;

  // Reads ahead and asynchronous direct I/O in flight; the kernel's default
  // of 12 is less than one read-ahead window of several readers.
  unsigned background_max = 64;

  std::size_t notifications_max = 4096;  // waiting; one more is refused
  KernelFeatures features;

  // `invalid`, naming the first value that is out of range.
  Result<void> validate() const;
};

}  // namespace dfs::fuse
