#include "tests/sim/trace.h"

#include <cstdio>
#include <utility>

namespace dfs::sim {

void Trace::add(Line line) {
  const std::lock_guard lock(mutex_);
  if (talk_ == Talk::aloud) {
    std::printf("%s\n", line().c_str());
    std::fflush(stdout);
  }
  lines_.push_back(std::move(line));
  if (lines_.size() > kLinesMax) lines_.pop_front();
}

std::string Trace::text() const {
  const std::lock_guard lock(mutex_);
  std::string text;
  for (const Line& line : lines_) text += line() + "\n";
  return text;
}

}  // namespace dfs::sim
