// What every server does around its work: options, log, signals, metrics
// port, readiness, ordered stop.
//
//   int main(int argc, char** argv) {
//     CLI::App app("The metadata server of dfs.");
//     DaemonOptions options;
//     add_daemon_options(app, options);
//     if (const auto code = parse_command_line(app, argc, argv)) return *code;
//     const auto done = run(options);
//     return done ? 0 : report_and_exit_code(done.error());
//   }
//   Result<void> run(const DaemonOptions& options) {
//     auto daemon = TRY(Daemon::start("dfs-meta", options));
//     auto server = TRY(MetaServer::start(...));
//     daemon->on_stop("server", [&] { server->stop(); });
//     TRY(daemon->announce_ready());
//     daemon->wait_for_stop();
//     daemon->stop();
//     return {};
//   }
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/metrics.h"
#include "common/base/result.h"

namespace CLI {
class App;
}

namespace dfs {

struct DaemonOptions {
  std::filesystem::path config;  // --config: a TOML file; empty: defaults
  std::string log_level = "info";
  std::string log_file;          // empty: stderr
  std::string log_format = "text";  // or json
  std::string metrics_address;   // host:port of the Prometheus page; empty: none
  int ready_fd = -1;             // gets "ready\n" once the server can be talked to
};

// --config --log-level --log-file --log-format --metrics --ready-fd, and
// --version. `options` must outlive the parsing.
void add_daemon_options(CLI::App& app, DaemonOptions& options);

// Parses the command line into what was added to `app`. A value means: exit
// with it now. --help and --version print to stdout and give 0; anything
// wrong prints one line "PROGRAM: ..." to stderr and gives 1.
std::optional<int> parse_command_line(CLI::App& app, int argc, char** argv);

// Prints "PROGRAM: text" as one line to stderr; returns 1. The log gets it
// too if it goes elsewhere.
int report_and_exit_code(const Error& error);

// One per process, made and used by main's thread, before other threads
// start: they inherit its blocked signals.
class Daemon {
 public:
  // Tunes malloc, blocks SIGTERM, SIGINT and SIGHUP, ignores SIGPIPE, opens
  // the log, raises the descriptor limit, starts the metrics page if asked.
  // `program` is on each log line.
  static Result<std::unique_ptr<Daemon>> start(std::string_view program,
                                               const DaemonOptions& options);
  ~Daemon();  // stop()
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  // `stop_part` runs in stop(), the last one registered first. What it
  // touches must live until stop() returns.
  void on_stop(std::string part, std::function<void()> stop_part);

  // Tells whoever started us that everything is up.
  Result<void> announce_ready();

  // Returns when SIGTERM or SIGINT asks to stop. A terminal's SIGHUP only
  // flushes the log. After it has returned, a second SIGTERM or SIGINT ends
  // the process at once: everything acknowledged survives that.
  void wait_for_stop();

  // Stops the registered parts in reverse order, then the metrics page, then
  // flushes the log. Idempotent.
  void stop();

 private:
  struct Part {
    std::string name;
    std::function<void()> stop;
  };

  Daemon(std::string program, int ready_fd);

  const std::string program_;
  int ready_fd_;
  std::unique_ptr<MetricsServer> metrics_server_;
  std::vector<Part> parts_;
  bool stopped_ = false;
};

}  // namespace dfs
