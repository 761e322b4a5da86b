// A line on the terminal that shows how far a long copy is.
//
//   put  [=========>          ]  45 %  1.4 GiB of 3.0 GiB  352 MiB/s  5 s left
//
// Draws on stderr, and only if that is a terminal.
// Threads: any; the constructor and finish() from one.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>

#include "common/base/clock.h"

namespace dfs::cli {

struct ProgressFacts {
  std::string title;
  std::uint64_t bytes_done = 0;
  std::uint64_t bytes_total = 0;  // 0: not known
  std::uint64_t files_done = 0;
  std::uint64_t files_total = 0;  // 0 or 1: not shown
  std::chrono::nanoseconds elapsed{0};
};
// The line, at most `columns` wide where it can be made so.
std::string progress_line(const ProgressFacts& facts, std::size_t columns);

class Progress {
 public:
  Progress(std::string title, const Clock& clock);
  ~Progress() { finish(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // What is known to come; may grow while it goes on.
  void expect(std::uint64_t bytes, std::uint64_t files);
  void add_bytes(std::uint64_t count);
  void add_file();
  // Draws the last state and ends the line. Idempotent.
  void finish();
  // Whether anybody sees it: counting ahead is for them only.
  bool is_shown() const { return shown_; }
  std::uint64_t bytes_done() const { return bytes_done_.load(std::memory_order_relaxed); }
  std::uint64_t files_done() const { return files_done_.load(std::memory_order_relaxed); }
  // A whole line of its own on stderr, above the bar.
  void complain(const std::string& line);

 private:
  void draw_if_due();
  void draw_locked();

  const std::string title_;
  const Clock& clock_;
  const bool shown_;
  const SteadyTime started_;
  std::atomic<std::uint64_t> bytes_done_{0};
  std::atomic<std::uint64_t> bytes_total_{0};
  std::atomic<std::uint64_t> files_done_{0};
  std::atomic<std::uint64_t> files_total_{0};
  std::mutex drawing_;
  SteadyTime drawn_{};
  bool finished_ = false;
};

}  // namespace dfs::cli
