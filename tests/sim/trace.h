// What happens in a run, told to standard output when somebody wants to know. What
// was not told can be had by running the same seed again.
//
// Threads: whoever has the turn (scheduler.h).
#pragma once

#include <concepts>
#include <string>

#include "tests/sim/scheduler.h"

namespace dfs::sim {

class Trace {
 public:
  enum class Talk { silent, aloud };
  explicit Trace(Talk talk) : talk_(talk) {}

  void add(const std::string& line) {
    add([&] { return line; });
  }
  // A line that is made when it is told.
  template <std::invocable Make>
  void add(Make&& make) {
    if (talk_ == Talk::silent) return;
    const Scheduler::Aside aside;  // what is told happens untold as well
    tell(make());
  }

 private:
  static void tell(const std::string& line);

  const Talk talk_;
};

}  // namespace dfs::sim
