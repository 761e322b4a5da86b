#include "common/base/log.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

#include <spdlog/logger.h>
#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include "common/base/log_text.h"

namespace dfs {
namespace {

constexpr std::size_t kOldFilesKept = 3;
constexpr const char* kTextPattern = "%Y-%m-%dT%H:%M:%S.%e%z %n %l %v";
constexpr const char* kJsonPattern =
    R"({"time":"%Y-%m-%dT%H:%M:%S.%f%z","level":"%l","program":"%n","pid":%P,"thread":%t,%v})";

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::debug: return spdlog::level::debug;
    case LogLevel::info: return spdlog::level::info;
    case LogLevel::warn: return spdlog::level::warn;
    case LogLevel::error: return spdlog::level::err;
    case LogLevel::off: return spdlog::level::off;
  }
  return spdlog::level::info;
}

std::shared_ptr<spdlog::logger> make_logger(std::string_view program, spdlog::sink_ptr sink) {
  auto logger = std::make_shared<spdlog::logger>(std::string(program), std::move(sink));
  logger->set_level(spdlog::level::trace);  // log_enabled() has decided already
  // Every line that is normally shown reaches the kernel at once: after a
  // kill -9 the log tells what came before. Debug lines wait for the next one.
  logger->flush_on(spdlog::level::info);
  logger->set_pattern(kTextPattern, spdlog::pattern_time_type::local);
  return logger;
}

struct State {
  std::shared_ptr<spdlog::logger> logger =
      make_logger("dfs", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  bool json = false;
};

// Never destroyed: destructors of other statics may still log.
State& state() {
  static State& instance = *new State;
  return instance;
}

std::atomic<LogLevel> level_shown{LogLevel::info};

}  // namespace

Result<LogLevel> parse_log_level(std::string_view text) {
  if (text == "debug") return LogLevel::debug;
  if (text == "info") return LogLevel::info;
  if (text == "warn") return LogLevel::warn;
  if (text == "error") return LogLevel::error;
  if (text == "off") return LogLevel::off;
  return fail(Errc::invalid, "\"" + std::string(text.substr(0, 100)) +
                                 "\" is not a log level; it is debug, info, warn, error or off");
}

Result<void> init_logging(std::string_view program, const LogConfig& config) {
  spdlog::sink_ptr sink;
  try {
    if (config.file.empty()) {
      sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    } else {
      sink = std::make_shared<spdlog::sinks::rotating_file_sink_mt>(
          config.file, config.file_bytes_max, kOldFilesKept);
    }
  } catch (const spdlog::spdlog_ex& error) {
    return fail(Errc::io, std::string("opening the log: ") + error.what());
  }
  auto logger = make_logger(program, std::move(sink));
  if (config.json) logger->set_pattern(kJsonPattern, spdlog::pattern_time_type::utc);
  state().logger = std::move(logger);
  state().json = config.json;
  level_shown = config.level;
  return {};
}

void flush_logs() { state().logger->flush(); }

namespace detail {

bool log_enabled(LogLevel level) {
  return level >= level_shown.load(std::memory_order_relaxed);
}

void log_line(LogLevel level, std::string_view room, std::string_view text) {
  std::string line;
  line.reserve(room.size() + text.size() + 32);
  if (state().json) {
    line.append(R"("room":")");
    append_json_text(line, room);
    line.append(R"(","text":")");
    append_json_text(line, text);
    line.push_back('"');
  } else {
    line.append(room);
    line.append(": ");
    append_one_line(line, text);
  }
  state().logger->log(to_spdlog(level), spdlog::string_view_t(line));
}

}  // namespace detail

}  // namespace dfs
