#include "server/daemon/daemon.h"

#include <errno.h>  // program_invocation_short_name
#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "common/base/log.h"
#include "common/base/process.h"

namespace dfs {
namespace {

sigset_t stop_signals() {
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGTERM);
  ::sigaddset(&signals, SIGINT);
  return signals;
}

sigset_t handled_signals() {
  sigset_t signals = stop_signals();
  ::sigaddset(&signals, SIGHUP);
  return signals;
}

// One line even if the text has several.
void print_error_line(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  std::replace(text.begin(), text.end(), '\n', ' ');
  std::fprintf(stderr, "%s: %s\n", program_invocation_short_name, text.c_str());
}

Result<void> start_logging(std::string_view program, const DaemonOptions& options) {
  LogConfig config;
  config.level = TRY(parse_log_level(options.log_level));
  config.file = options.log_file;
  config.json = options.log_format == "json";
  return init_logging(program, config);
}

}  // namespace

void add_daemon_options(CLI::App& app, DaemonOptions& options) {
  app.add_option("--config", options.config, "Settings, a TOML file");
  app.add_option("--log-level", options.log_level, "debug, info, warn, error or off")
      ->check(CLI::IsMember({"debug", "info", "warn", "error", "off"}))
      ->capture_default_str();
  app.add_option("--log-file", options.log_file, "Log to this file, rotated, instead of stderr");
  app.add_option("--log-format", options.log_format, "text, or json: one object a line")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  app.add_option("--metrics", options.metrics_address,
                 "Serve Prometheus metrics at http://HOST:PORT/metrics");
  app.add_option("--ready-fd", options.ready_fd,
                 "Write \"ready\" to this descriptor once the server can be talked to")
      ->check(CLI::Range(0, 1 << 20));
  app.set_version_flag("--version", version());
}

std::optional<int> parse_command_line(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
    return std::nullopt;
  } catch (const CLI::Success& asked) {  // --help, --version
    return app.exit(asked);
  } catch (const CLI::ParseError& error) {
    print_error_line(std::string(error.what()) + " (--help tells what there is)");
    return 1;
  }
}

int report_and_exit_code(const Error& error) {
  print_error_line(error.text.empty() ? error.to_string() : error.text);
  return 1;
}

Daemon::Daemon(std::string program, int ready_fd)
    : program_(std::move(program)), ready_fd_(ready_fd) {}

Result<std::unique_ptr<Daemon>> Daemon::start(std::string_view program, const DaemonOptions& options) {
  tune_malloc();
  ::signal(SIGPIPE, SIG_IGN);
  const sigset_t signals = handled_signals();
  const int blocked = ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  if (blocked != 0) return fail_errno(blocked, "blocking signals");

  TRY(start_logging(program, options));
  TRY(raise_descriptor_limit());
  std::unique_ptr<Daemon> daemon(new Daemon(std::string(program), options.ready_fd));
  if (!options.metrics_address.empty())
    daemon->metrics_server_ = TRY(MetricsServer::start(options.metrics_address));
  log_info("daemon", "{} {} starts", program, version());
  return daemon;
}

Daemon::~Daemon() { stop(); }

void Daemon::on_stop(std::string part, std::function<void()> stop_part) {
  parts_.push_back({std::move(part), std::move(stop_part)});
}

Result<void> Daemon::announce_ready() {
  log_info("daemon", "{} is ready", program_);
  return dfs::announce_ready(std::exchange(ready_fd_, -1));
}

void Daemon::wait_for_stop() {
  const sigset_t signals = handled_signals();
  int signal = 0;
  do {
    const int error = ::sigwait(&signals, &signal);
    invariant(error == 0, "the signals waited for are valid");
    if (signal == SIGHUP) flush_logs();
  } while (signal == SIGHUP);
  log_info("daemon", "{} was asked to stop by {}", program_, ::sigabbrev_np(signal));

  const sigset_t second = stop_signals();
  ::pthread_sigmask(SIG_UNBLOCK, &second, nullptr);
}

void Daemon::stop() {
  if (std::exchange(stopped_, true)) return;
  while (!parts_.empty()) {
    const Part part = std::move(parts_.back());
    parts_.pop_back();
    log_debug("daemon", "stopping {}", part.name);
    part.stop();
  }
  metrics_server_.reset();
  log_info("daemon", "{} has stopped", program_);
  flush_logs();
}

}  // namespace dfs
