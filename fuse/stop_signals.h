// SIGTERM and SIGINT ask the mount to end; a second one to end without waiting
// for servers that do not answer.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "common/rpc/interrupt.h"

namespace dfs::fuse {

class StopSignals {
 public:
  // In main(), before any other thread: all threads inherit that the signals
  // are blocked.
  static void block();

  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  enum class Cause { signal, unmounted };
  // Until a signal comes or unmounted() is called.
  Cause wait();
  // A signal has come.
  bool is_asked();
  // The file system has been taken away by somebody else. Any thread.
  void unmounted();
  // Fires at the second signal.
  Interrupt& impatience() { return impatience_; }

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  unsigned signals_ = 0;
  bool unmounted_ = false;
  bool ending_ = false;
  Interrupt impatience_;
  std::thread thread_;
};

}  // namespace dfs::fuse
