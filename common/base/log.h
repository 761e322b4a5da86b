// Structured log lines: time, level, room, sentence, facts.
//
//   log_info("storage", "opened segment {} with {} chunks", number, chunks);
//
// The room is the subsystem the line is about. Text output is for people
// (journald); --log-format json gives one object a line. Built on spdlog.
// Threads: any, after init_logging(); before it, lines go to stderr as text.
#pragma once

#include <string>
#include <string_view>

#include <fmt/format.h>

#include "common/base/result.h"

namespace dfs {

enum class LogLevel { debug, info, warn, error, off };

struct LogConfig {
  LogLevel level = LogLevel::info;
  std::string file{};      // empty: stderr
  bool json = false;
  // A log file is rotated at this size, keeping three older ones.
  std::size_t file_bytes_max = 64 << 20;
};

Result<LogLevel> parse_log_level(std::string_view text);
// Once per process, from main(), before threads start. `program` is on each line.
Result<void> init_logging(std::string_view program, const LogConfig& config);
void flush_logs();

namespace detail {
bool log_enabled(LogLevel level);
void log_line(LogLevel level, std::string_view room, std::string_view text);
}  // namespace detail

template <typename... Args>
void log_debug(std::string_view room, fmt::format_string<Args...> format, Args&&... args) {
  if (detail::log_enabled(LogLevel::debug))
    detail::log_line(LogLevel::debug, room, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void log_info(std::string_view room, fmt::format_string<Args...> format, Args&&... args) {
  if (detail::log_enabled(LogLevel::info))
    detail::log_line(LogLevel::info, room, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void log_warn(std::string_view room, fmt::format_string<Args...> format, Args&&... args) {
  if (detail::log_enabled(LogLevel::warn))
    detail::log_line(LogLevel::warn, room, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void log_error(std::string_view room, fmt::format_string<Args...> format, Args&&... args) {
  if (detail::log_enabled(LogLevel::error))
    detail::log_line(LogLevel::error, room, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace dfs
