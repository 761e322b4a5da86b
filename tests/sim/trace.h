// What has happened in a run, told when somebody wants to know: a run is not
// repeated bit by bit, so the trace of one that failed is all there is.
//
// Threads: any.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <utility>

namespace dfs::sim {

class Trace {
 public:
  enum class Talk { silent, aloud };  // aloud: to standard output at once
  explicit Trace(Talk talk) : talk_(talk) {}

  // A line, made when it is needed.
  using Line = std::function<std::string()>;
  void add(Line line);
  void add(std::string line) {
    add(Line([line = std::move(line)] { return line; }));
  }
  // All lines, the oldest left out where there are too many.
  std::string text() const;

 private:
  static constexpr std::size_t kLinesMax = 50'000;

  const Talk talk_;
  mutable std::mutex mutex_;
  std::deque<Line> lines_;
};

}  // namespace dfs::sim
