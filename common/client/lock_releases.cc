#include "common/client/lock_releases.h"

#include <pthread.h>

#include <utility>

namespace dfs {

LockReleases::~LockReleases() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_.interrupt();
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void LockReleases::add(Release release) {
  const std::lock_guard lock(mutex_);
  queue_.push_back(std::move(release));
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  wake_.notify_one();
}

void LockReleases::run() {
  pthread_setname_np(pthread_self(), "lock-release");
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
    if (stopping_) return;
    const Release release = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    release(stop_);
    lock.lock();
  }
}

}  // namespace dfs
