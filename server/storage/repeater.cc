#include "server/storage/repeater.h"

#include <pthread.h>

#include <utility>

namespace dfs::storage {

Repeater::Repeater(const std::string& name, Step step)
    : step_(std::move(step)), thread_([this] { run(); }) {
  ::pthread_setname_np(thread_.native_handle(), name.substr(0, 15).c_str());
}

Repeater::~Repeater() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void Repeater::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    lock.unlock();
    const auto pause = step_();
    lock.lock();
    wake_.wait_for(lock, pause, [&] { return stopping_; });
  }
}

}  // namespace dfs::storage
