#include "tests/sim/program.h"

#include <utility>

namespace dfs::sim {

Program::Program(std::size_t steps, std::function<void(std::size_t)> step) {
  thread_ = std::thread([this, steps, step = std::move(step)] { run(steps, step); });
}

Program::~Program() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

bool Program::is_ready() const {
  const std::lock_guard lock(mutex_);
  return ready_;
}

bool Program::is_over() const {
  const std::lock_guard lock(mutex_);
  return over_;
}

void Program::go_on() {
  const std::lock_guard lock(mutex_);
  ready_ = false;
  changed_.notify_all();
}

void Program::run(std::size_t steps, const std::function<void(std::size_t)>& step) {
  for (std::size_t number = 0; number < steps; ++number) {
    {
      std::unique_lock lock(mutex_);
      ready_ = true;
      changed_.wait(lock, [this] { return !ready_ || stopping_; });
      if (stopping_) break;
    }
    step(number);
  }
  const std::lock_guard lock(mutex_);
  over_ = true;
}

}  // namespace dfs::sim
