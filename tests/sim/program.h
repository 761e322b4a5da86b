// A program on one mount: a thread that does one thing after another, each when
// it is let.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <thread>

namespace dfs::sim {

class Program {
 public:
  // `step(n)` is called on the program's thread, for n < steps.
  Program(std::size_t steps, std::function<void(std::size_t)> step);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  bool is_ready() const;  // for the next step
  bool is_over() const;
  void go_on();

 private:
  void run(std::size_t steps, const std::function<void(std::size_t)>& step);

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool ready_ = false;
  bool over_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace dfs::sim
