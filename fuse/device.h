// The connection to the kernel: requests are read from it, replies written to
// it. One descriptor of /dev/fuse, non-blocking, with the waiting done by
// epoll so that it can be switched off.
//
// Waking a thread for a request costs far more than reading the request. So
// at any time at most one thread, the reader, polls with read(); while it
// does, the descriptor is unwatched and nobody else is woken. Before it turns
// to work that may take long it calls watch(), and the next request wakes one
// thread out of wait().
//
// Threads: any.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

#include <sys/uio.h>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/base/unique_fd.h"

namespace dfs::fuse {

class Device {
 public:
  // Takes over `fuse`, an open, mounted /dev/fuse.
  static Result<Device> attach(UniqueFd fuse);

  enum class Outcome { request, nothing, gone };
  struct Read {
    Outcome outcome = Outcome::nothing;
    std::size_t bytes = 0;  // of the request
  };
  // Never blocks. `gone`: the file system has been unmounted or the connection
  // cut. `into` must hold a header and the largest write.
  Read read(MutableBuffer into);

  // From now on the next request wakes one waiter, once.
  void watch();
  // From now on requests wake nobody. May be overtaken by a watch() of another
  // thread; then a waiter is woken for nothing, which does no harm.
  void unwatch();

  enum class Wake { request, time_passed, stopped };
  // Blocks until a request may be there, or stop(). After `request` nobody is
  // woken again until watch().
  Wake wait(std::chrono::milliseconds time_max);
  // Ends every wait(), those to come too.
  void stop();

  // One reply or notification, as writev(2): bytes, or -1 and errno.
  ssize_t write(std::span<const iovec> parts);

  int descriptor() const { return fuse_.get(); }

 private:
  Device(UniqueFd fuse, UniqueFd poll, UniqueFd stop);

  UniqueFd fuse_;
  UniqueFd poll_;
  UniqueFd stop_;
};

}  // namespace dfs::fuse
