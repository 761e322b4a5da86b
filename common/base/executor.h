// A few threads behind a bounded queue.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace dfs {

// Threads: any. The destructor runs what was accepted, then joins.
class Executor {
 public:
  struct Options {
    std::string name;          // shown by `top -H`; at most 12 bytes are kept
    std::size_t threads = 1;
    std::size_t queue_max = 1024;  // one more task is refused
  };
  explicit Executor(Options options);
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // Queues `task`; false, and nothing happens, when the queue is full or the
  // executor is stopping. Tasks must not throw.
  [[nodiscard]] bool submit(std::function<void()> task);
  // Refuses new tasks, runs the queued ones, joins. Idempotent.
  void stop();
  std::size_t queued() const;

 private:
  void run();

  const Options options_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> queue_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace dfs
