#include "fuse/cli/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include <fmt/format.h>

#include "common/base/config_file.h"
#include "fuse/cli/output.h"

namespace dfs::cli {

namespace {

constexpr std::chrono::milliseconds kRedraw{100};
constexpr std::size_t kBarMin = 10;
constexpr std::size_t kBarMax = 40;
constexpr std::size_t kColumnsDefault = 80;

std::size_t terminal_columns() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kColumnsDefault;
  return size.ws_col;
}

std::string bar(double share, std::size_t width) {
  const auto filled = static_cast<std::size_t>(share * static_cast<double>(width));
  std::string text(width, ' ');
  std::fill_n(text.begin(), filled, '=');
  if (filled < width) text[filled] = '>';
  return "[" + text + "]";
}

}  // namespace

std::string progress_line(const ProgressFacts& facts, std::size_t columns) {
  const double seconds = std::chrono::duration<double>(facts.elapsed).count();
  const double rate = seconds > 0 ? static_cast<double>(facts.bytes_done) / seconds : 0;

  std::string tail;
  if (facts.bytes_total > 0) {
    const double share = std::min(1.0, static_cast<double>(facts.bytes_done) /
                                           static_cast<double>(facts.bytes_total));
    tail += fmt::format("  {:3.0f} %  {} of {}", share * 100, format_size(facts.bytes_done),
                        format_size(facts.bytes_total));
  } else {
    tail += "  " + format_size(facts.bytes_done);
  }
  if (facts.files_total > 1)
    tail += fmt::format("  {} of {} files", facts.files_done, facts.files_total);
  tail += fmt::format("  {}/s", format_size(static_cast<std::uint64_t>(rate)));
  if (facts.bytes_total > facts.bytes_done && rate > 0) {
    const double left = static_cast<double>(facts.bytes_total - facts.bytes_done) / rate;
    tail += fmt::format("  {} left", format_duration(static_cast<std::int64_t>(left) + 1));
  }

  std::string line = facts.title;
  const std::size_t used = line.size() + tail.size() + 4;  // two blanks, two brackets
  if (facts.bytes_total > 0 && used + kBarMin < columns) {
    const double share = std::min(1.0, static_cast<double>(facts.bytes_done) /
                                           static_cast<double>(facts.bytes_total));
    line += "  " + bar(share, std::min(kBarMax, columns - used - 1));
  }
  line += tail;
  if (line.size() >= columns && columns > 1) line.resize(columns - 1);
  return line;
}

Progress::Progress(std::string title, const Clock& clock)
    : title_(std::move(title)),
      clock_(clock),
      shown_(is_terminal(STDERR_FILENO)),
      started_(clock.now()),
      drawn_(started_) {}

void Progress::expect(std::uint64_t bytes, std::uint64_t files) {
  bytes_total_.fetch_add(bytes, std::memory_order_relaxed);
  files_total_.fetch_add(files, std::memory_order_relaxed);
}

void Progress::add_bytes(std::uint64_t count) {
  bytes_done_.fetch_add(count, std::memory_order_relaxed);
  draw_if_due();
}

void Progress::add_file() {
  files_done_.fetch_add(1, std::memory_order_relaxed);
  draw_if_due();
}

void Progress::draw_if_due() {
  if (!shown_) return;
  const std::unique_lock lock(drawing_, std::try_to_lock);
  if (!lock || finished_ || clock_.now() - drawn_ < kRedraw) return;
  draw_locked();
}

void Progress::draw_locked() {
  drawn_ = clock_.now();
  const ProgressFacts facts{.title = title_,
                            .bytes_done = bytes_done_.load(std::memory_order_relaxed),
                            .bytes_total = bytes_total_.load(std::memory_order_relaxed),
                            .files_done = files_done_.load(std::memory_order_relaxed),
                            .files_total = files_total_.load(std::memory_order_relaxed),
                            .elapsed = drawn_ - started_};
  std::fprintf(stderr, "\r\033[K%s", progress_line(facts, terminal_columns()).c_str());
  std::fflush(stderr);
}

void Progress::finish() {
  if (!shown_) return;
  const std::lock_guard lock(drawing_);
  if (finished_) return;
  finished_ = true;
  draw_locked();
  std::fputc('\n', stderr);
}

void Progress::complain(const std::string& line) {
  const std::lock_guard lock(drawing_);
  std::fprintf(stderr, "%s%s\n", shown_ && !finished_ ? "\r\033[K" : "", line.c_str());
}

}  // namespace dfs::cli
