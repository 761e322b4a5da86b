// Locks that nobody waits to see removed: those of programs that went away, or
// stopped waiting, before what they had written was on the servers.
//
// Their releases run one after another on a thread that is made for the first.
// Bound: each is of an open file or of a close(2) that was interrupted.
// Threads: any.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "common/rpc/interrupt.h"

namespace dfs {

class LockReleases {
 public:
  // Returns soon once `stop` is interrupted.
  using Release = std::function<void(Interrupt& stop)>;

  LockReleases() = default;
  // Drops what has not begun: the locks end with the session.
  ~LockReleases();
  LockReleases(const LockReleases&) = delete;
  LockReleases& operator=(const LockReleases&) = delete;

  void add(Release release);

 private:
  void run();

  Interrupt stop_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Release> queue_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace dfs
