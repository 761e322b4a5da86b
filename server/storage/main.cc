// dfs-storage: keeps chunks on this machine's disks.
#include <signal.h>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

#include "common/base/log.h"
#include "common/rpc/channels.h"
#include "server/daemon/daemon.h"
#include "server/storage/inventory.h"
#include "server/storage/storage_server.h"

namespace dfs::storage {
namespace {

// What the command line says; empty: not said.
struct CommandLine {
  std::vector<std::string> data;
  std::string listen;
  std::string advertise;
  std::string meta;
  std::string reserve;
  std::vector<std::string> labels;
  bool replace_missing = false;
};

void add_options(CLI::App& app, CommandLine& line) {
  app.add_option("--data", line.data, "A directory for chunks; one a disk, several times if there are several")
      ->type_name("DIR");
  app.add_flag("--replace-missing", line.replace_missing,
               "Give up data directories that are missing, and take empty ones as new disks");
  app.add_option("--listen", line.listen, "Where to listen (127.0.0.1:7400)")->type_name("HOST:PORT");
  app.add_option("--advertise", line.advertise, "Where clients reach this server, if elsewhere")
      ->type_name("HOST:PORT");
  app.add_option("--meta", line.meta, "The metadata server (127.0.0.1:7300)")->type_name("HOST:PORT");
  app.add_option("--label", line.labels, "Where this server stands, such as zone=a; several times")
      ->type_name("KEY=VALUE");
  app.add_option("--reserve", line.reserve,
                 "Space of each disk that clients never fill (5 %, from 256MiB to 10GiB)")
      ->type_name("SIZE");
}

struct InventoryLine {
  std::string file;
  std::vector<std::string> data;
};

CLI::App* add_inventory(CLI::App& app, InventoryLine& line) {
  CLI::App* command = app.add_subcommand(
      "inventory", "Write down which chunks are here, instead of serving; `dfs-meta salvage` reads it");
  command->add_option("FILE", line.file, "Where to")->required();
  command->add_option("--data", line.data, "The server's directories, each of them")
      ->type_name("DIR")
      ->required();
  return command;
}

Result<void> run_inventory(const InventoryLine& line) {
  const InventorySummary found =
      TRY(write_inventory_of({line.data.begin(), line.data.end()}, line.file));
  fmt::print("{}: {} chunks of {} in all\n", line.file, found.chunks, format_size(found.bytes));
  if (found.unreadable > 0)
    fmt::print("{} chunks are damaged and left out\n", found.unreadable);
  if (found.unplaced > 0)
    fmt::print("of {} chunks it is not known where in their files they belong\n", found.unplaced);
  return {};
}

// The command line wins over the file.
Result<StorageConfig> configure(const DaemonOptions& options, const CommandLine& line) {
  StorageConfig config;
  auto file = TRY(ConfigFile::load(options.config, "DFS_STORAGE"));
  TRY(read_config(file, config));
  TRY(file.finish());
  if (!line.data.empty()) config.data_directories.assign(line.data.begin(), line.data.end());
  if (line.replace_missing) config.replace_missing = true;
  if (!line.listen.empty()) config.listen_address = line.listen;
  if (!line.advertise.empty()) config.advertised_address = line.advertise;
  if (!line.meta.empty()) config.meta_address = line.meta;
  if (!line.reserve.empty()) config.reserved_bytes = TRY(parse_size(line.reserve));
  for (const std::string& label : line.labels) TRY(add_label(label, config.labels));
  TRY(config.validate());
  return config;
}

bool stop_is_pending() {
  sigset_t pending;
  ::sigpending(&pending);
  return ::sigismember(&pending, SIGTERM) == 1 || ::sigismember(&pending, SIGINT) == 1;
}

// False if somebody asked to stop first.
Result<bool> wait_registered(StorageServer& server, const std::string& meta) {
  bool told = false;
  while (!stop_is_pending()) {
    const bool registered = TRY(server.wait_registered(std::chrono::milliseconds{200}));
    if (registered) return true;
    if (!told) log_info("storage", "waiting for the metadata server at {}", meta);
    told = true;
  }
  return false;
}

Result<void> run(const DaemonOptions& options, const CommandLine& line) {
  const StorageConfig config = TRY(configure(options, line));
  std::unique_ptr<StorageServer> server;  // outlives the daemon, which stops it
  auto daemon = TRY(Daemon::start("dfs-storage", options));
  server = TRY(StorageServer::start(config));
  daemon->on_stop("storage server", [&] { server->stop(); });
  const bool registered = TRY(wait_registered(*server, config.meta_address));
  if (registered) TRY(daemon->announce_ready());
  daemon->wait_for_stop();
  daemon->stop();
  return {};
}

}  // namespace
}  // namespace dfs::storage

int main(int argc, char** argv) {
  dfs::prepare_grpc();
  CLI::App app("The storage server of dfs: keeps chunks on this machine's disks.", "dfs-storage");
  dfs::DaemonOptions options;
  dfs::storage::CommandLine line;
  dfs::storage::add_options(app, line);
  dfs::add_daemon_options(app, options);
  dfs::storage::InventoryLine inventory_line;
  const CLI::App* inventory = dfs::storage::add_inventory(app, inventory_line);
  if (const auto code = dfs::parse_command_line(app, argc, argv)) return *code;
  const auto done = inventory->parsed() ? dfs::storage::run_inventory(inventory_line)
                                        : dfs::storage::run(options, line);
  return done ? 0 : dfs::report_and_exit_code(done.error());
}
