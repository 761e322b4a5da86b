#include "fuse/stop_signals.h"

#include <csignal>
#include <pthread.h>

namespace dfs::fuse {
namespace {

// Wakes our own thread when nobody needs it any more.
constexpr int kWakeSignal = SIGUSR2;

sigset_t watched() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, kWakeSignal}) ::sigaddset(&set, number);
  return set;
}

}  // namespace

void StopSignals::block() {
  const sigset_t set = watched();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGHUP, SIG_IGN);  // the terminal we were started from is closed
}

StopSignals::StopSignals() : thread_([this] { run(); }) {}

StopSignals::~StopSignals() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  ::pthread_kill(thread_.native_handle(), kWakeSignal);
  thread_.join();
}

StopSignals::Cause StopSignals::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return signals_ > 0 || unmounted_; });
  return unmounted_ ? Cause::unmounted : Cause::signal;
}

bool StopSignals::is_asked() {
  const std::lock_guard lock(mutex_);
  return signals_ > 0;
}

void StopSignals::unmounted() {
  const std::lock_guard lock(mutex_);
  unmounted_ = true;
  changed_.notify_all();
}

void StopSignals::run() {
  ::pthread_setname_np(::pthread_self(), "signals");
  const sigset_t set = watched();
  for (;;) {
    int number = 0;
    if (::sigwait(&set, &number) != 0) continue;
    const std::lock_guard lock(mutex_);
    if (ending_) return;
    if (number == kWakeSignal) continue;
    if (++signals_ > 1) impatience_.interrupt();
    changed_.notify_all();
  }
}

}  // namespace dfs::fuse
