// A thread that does something again and again, and says itself how long to
// wait in between. Ends with the object.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace dfs::storage {

class Repeater {
 public:
  using Step = std::function<std::chrono::milliseconds()>;

  // `name` is shown by `top -H`; at most 15 bytes are kept.
  Repeater(const std::string& name, Step step);
  ~Repeater();
  Repeater(const Repeater&) = delete;
  Repeater& operator=(const Repeater&) = delete;

 private:
  void run();

  const Step step_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace dfs::storage
