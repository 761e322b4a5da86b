#include "fuse/keep_awake.h"

#include <pthread.h>
#include <sched.h>

namespace dfs::fuse {
namespace {

// With more processors than this the one that falls asleep is rarely the one
// that this thread would be put on.
constexpr unsigned kProcessorsMax = 4;
// Reading the clock at each turn would be most of the loop.
constexpr int kPausesPerLook = 16;

void pause_briefly() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

KeepAwake::KeepAwake(std::chrono::nanoseconds linger) : linger_ns_(linger.count()) {
  const unsigned processors = std::thread::hardware_concurrency();
  enabled_ = linger_ns_ > 0 && processors > 1 && processors <= kProcessorsMax;
  if (enabled_) thread_ = std::thread([this] { run(); });
}

KeepAwake::~KeepAwake() {
  stopping_ = true;
  awake_ = true;
  awake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void KeepAwake::wake() {
  awake_.store(true);
  awake_.notify_one();
}

void KeepAwake::run() {
  pthread_setname_np(pthread_self(), "keep-awake");
  const sched_param none{};
  // Refused only where the class does not exist; then it must not spin.
  if (pthread_setschedparam(pthread_self(), SCHED_IDLE, &none) != 0) return;
  while (!stopping_.load(std::memory_order_relaxed)) {
    awake_.wait(false);
    while (!stopping_.load(std::memory_order_relaxed) &&
           steady_ns() - last_pulse_ns_.load(std::memory_order_relaxed) < linger_ns_) {
      for (int turn = 0; turn < kPausesPerLook; ++turn) pause_briefly();
    }
    awake_.store(false);
  }
}

}  // namespace dfs::fuse
