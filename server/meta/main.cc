// dfs-meta: the metadata server. `dfs-meta fsck` checks the data of one that
// does not run; `restore` and `salvage` make the data of one anew.
#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/config_file.h"
#include "common/base/log.h"
#include "common/base/log_text.h"
#include "common/rpc/channels.h"
#include "server/daemon/daemon.h"
#include "server/meta/backup/restore.h"
#include "server/meta/fsck/offline.h"
#include "server/meta/meta_server.h"
#include "server/meta/salvage/salvage.h"

namespace dfs {
namespace {

// What the command line says; it wins over the file.
struct CommandLine {
  DaemonOptions daemon;
  std::optional<std::string> data;
  std::optional<std::string> listen;
  std::optional<std::uint32_t> replicas;
  std::optional<std::string> chunk_size;
  std::optional<std::string> reserve;
  std::string checked_data;  // of `fsck`
  bool repair = false;
};

struct RestoreLine {
  std::string file;
  std::string data;
  std::uint32_t keep_days = 7;
};

void add_options(CLI::App& app, CommandLine& line) {
  app.add_option("--data", line.data, "Directory of all data; an empty one becomes a new cluster");
  app.add_option("--listen", line.listen, "HOST:PORT to listen on (127.0.0.1:7300)");
  app.add_option("--replicas", line.replicas, "New cluster: copies of each chunk, 1 to 16 (3)");
  app.add_option("--chunk-size", line.chunk_size,
                 "New cluster: largest chunk, such as 8MiB (8MiB; at most 64MiB)");
  app.add_option("--reserve", line.reserve,
                 "Space of the disk that is kept for deletions, such as 64MiB (256MiB)");
  add_daemon_options(app, line.daemon);
  CLI::App* fsck = app.add_subcommand("fsck", "Check the data of a metadata server that does not run");
  fsck->add_option("--data", line.checked_data, "Its data directory")->required();
  fsck->add_flag("--repair", line.repair, "Repair what has one right answer, and say what was done");
  fsck->footer("\nExit code: 0 nothing was found, 1 everything was repaired, 4 something is left, 8 the\n"
               "check could not be made.");
}

struct SalvageLine {
  std::vector<std::string> inventories;
  std::string data;
  std::optional<std::uint32_t> replicas;
  std::string chunk_size = "8MiB";
  std::uint32_t keep_days = 7;
};

void add_keep_unknown(CLI::App& command, std::uint32_t& days) {
  command.add_option("--keep-unknown", days,
                     "For so many days chunks that no file names are not deleted: they may be the "
                     "only copy of something")
      ->check(CLI::Range(0, 3'650))
      ->capture_default_str();
}

CLI::App* add_restore(CLI::App& app, RestoreLine& line) {
  CLI::App* command = app.add_subcommand(
      "restore", "Make a data directory out of a backup (`dfs meta backup`), instead of serving");
  command->add_option("FILE", line.file, "The backup")->required();
  command->add_option("--data", line.data, "The directory to make: a new or an empty one")->required();
  add_keep_unknown(*command, line.keep_days);
  return command;
}

CLI::App* add_salvage(CLI::App& app, SalvageLine& line) {
  CLI::App* command = app.add_subcommand(
      "salvage", "Make a data directory out of what storage servers have (`dfs-storage inventory`), "
                 "instead of serving: when all metadata is lost and there is no backup");
  command->add_option("INVENTORY", line.inventories, "One of each storage server")->required();
  command->add_option("--data", line.data, "The directory to make: a new or an empty one")->required();
  command->add_option("--replicas", line.replicas, "Copies of new chunks (as most groups have)")
      ->check(CLI::Range(1u, kReplicasMax));
  command->add_option("--chunk-size", line.chunk_size, "Where new files are cut, as it was")
      ->capture_default_str();
  add_keep_unknown(*command, line.keep_days);
  return command;
}

Result<void> run_salvage(const SalvageLine& line) {
  const std::uint64_t chunk_size = TRY(parse_size(line.chunk_size));
  if (chunk_size < kChunkSizeMin || chunk_size > kChunkSizeMax || chunk_size % kBlockSize != 0)
    return fail(Errc::invalid, fmt::format("--chunk-size {}: it must be a multiple of {}, at most {}",
                                           line.chunk_size, format_size(kBlockSize),
                                           format_size(kChunkSizeMax)));
  const SalvageOptions options{.replicas = line.replicas,
                               .chunk_size = static_cast<std::uint32_t>(chunk_size),
                               .keep_unknown = std::chrono::hours(24 * line.keep_days)};
  const SalvageSummary found =
      TRY(salvage({line.inventories.begin(), line.inventories.end()}, line.data,
                  SystemClock::instance(), options));
  fmt::print("{}: cluster {}, {} storage servers, {} groups\n", line.data, found.cluster,
             found.servers, found.groups);
  fmt::print("{} files with {} in {} chunks are in /lost+found, by number of inode\n", found.files,
             format_size(found.bytes), found.chunks);
  if (found.hidden > 0)
    fmt::print("{} chunks are covered by later ones and not used\n", found.hidden);
  if (found.unplaced > 0)
    fmt::print("of {} copies of chunks it is not known to which file or place they belong\n",
               found.unplaced);
  if (found.ambiguous > 0)
    fmt::print("in {} files chunks overlap that do not say which is later\n", found.ambiguous);
  fmt::print("Start it: dfs-meta --data {}\n", line.data);
  return {};
}

Result<void> run_restore(const RestoreLine& line) {
  const RestoreOptions options{.keep_unknown = std::chrono::hours(24 * line.keep_days)};
  const Restored made =
      TRY(restore(line.file, line.data, SystemClock::instance(), options));
  fmt::print("{}: cluster {} as it was {} seconds ago, {} rows\n", line.data, made.head.cluster,
             (SystemClock::instance().wall() - made.head.time) / 1'000'000'000, made.rows);
  fmt::print("Make sure that the lost metadata server does not run any more, then start this one: "
             "dfs-meta --data {}\n", line.data);
  return {};
}

Result<MetaConfig> configuration(const CommandLine& line) {
  MetaConfig config;
  ConfigFile file = TRY(ConfigFile::load(line.daemon.config, "DFS_META"));
  TRY(config.read(file));
  TRY(file.finish());
  if (line.data) config.data_directory = *line.data;
  if (line.listen) config.listen_address = *line.listen;
  if (line.replicas) config.replicas = *line.replicas;
  if (line.chunk_size) config.chunk_size = TRY(parse_size(*line.chunk_size));
  if (line.reserve) config.reserved_bytes = TRY(parse_size(*line.reserve));
  TRY(config.validate());
  return config;
}

Result<void> run(const CommandLine& line) {
  MetaConfig config = TRY(configuration(line));
  prepare_grpc();
  std::unique_ptr<Daemon> daemon = TRY(Daemon::start("dfs-meta", line.daemon));
  std::unique_ptr<MetaServer> server = TRY(MetaServer::start(std::move(config)));
  daemon->on_stop("metadata server", [&server] { server->stop(); });
  TRY(daemon->announce_ready());
  daemon->wait_for_stop();
  daemon->stop();
  return {};
}

// --- fsck ------------------------------------------------------------------------------

// Exit codes as fsck(8) has them.
constexpr int kExitMended = 1;
constexpr int kExitLeft = 4;
constexpr int kExitFailedToCheck = 8;

void print_line(std::string_view indent, std::string_view text) {
  std::string line(indent);
  append_one_line(line, text);
  std::printf("%s\n", line.c_str());
}

class Printer final : public fsck::Listener {
 public:
  ~Printer() override { clear(); }
  Result<void> report(fsck::Report report) override {
    clear();
    print_line("", report.text);
    if (!report.mended.empty()) {
      print_line("    repaired: ", report.mended);
    } else if (!report.not_mended.empty()) {
      print_line("    not repaired: ", report.not_mended);
    } else {
      print_line("    ", report.mendable ? "--repair repairs it" : "this cannot be repaired");
    }
    return {};
  }
  Result<void> passed(std::uint64_t rows) override {
    rows_ += rows;
    const SteadyTime now = SystemClock::instance().now();
    if (!is_terminal_ || now - drawn_ < kRedraw) return {};
    drawn_ = now;
    std::fprintf(stderr, "\r\033[K%llu rows and inodes looked at", static_cast<unsigned long long>(rows_));
    std::fflush(stderr);
    return {};
  }
  // Takes the line about the progress away.
  void clear() {
    if (drawn_ == SteadyTime{}) return;
    std::fprintf(stderr, "\r\033[K");
    std::fflush(stderr);
    drawn_ = {};
  }

 private:
  static constexpr std::chrono::milliseconds kRedraw{200};
  const bool is_terminal_ = ::isatty(STDERR_FILENO) == 1;
  std::uint64_t rows_ = 0;
  SteadyTime drawn_{};
};

Result<int> run_fsck(const CommandLine& line) {
  LogConfig log;
  log.level = LogLevel::error;
  TRY(init_logging("dfs-meta", log));
  Printer printer;
  const auto mode = line.repair ? fsck::Mode::repair : fsck::Mode::look;
  const fsck::Summary summary =
      TRY(fsck::check_directory(line.checked_data, mode, SystemClock::instance(), printer));
  printer.clear();
  print_line("", summary.left == 0 ? "the tables fit together"
                                   : std::to_string(summary.left) + " problems are left");
  if (summary.mended > 0) print_line("", std::to_string(summary.mended) + " were repaired");
  if (std::fflush(stdout) != 0)
    return fail(Errc::io, "what was printed could not be written to the standard output");
  if (summary.left > 0) return kExitLeft;
  return summary.mended > 0 ? kExitMended : 0;
}

int fsck_exit_code(const CommandLine& line) {
  const Result<int> code = run_fsck(line);
  if (code) return *code;
  (void)report_and_exit_code(code.error());
  return kExitFailedToCheck;
}

}  // namespace
}  // namespace dfs

int main(int argc, char** argv) {
  CLI::App app("The metadata server of dfs: names, placement, sessions.");
  dfs::CommandLine line;
  dfs::add_options(app, line);
  dfs::RestoreLine restore_line;
  const CLI::App* restore = dfs::add_restore(app, restore_line);
  dfs::SalvageLine salvage_line;
  const CLI::App* salvage = dfs::add_salvage(app, salvage_line);
  if (const auto code = dfs::parse_command_line(app, argc, argv)) return *code;
  if (app.got_subcommand("fsck")) return dfs::fsck_exit_code(line);
  const auto done = restore->parsed()   ? dfs::run_restore(restore_line)
                    : salvage->parsed() ? dfs::run_salvage(salvage_line)
                                        : dfs::run(line);
  return done ? 0 : dfs::report_and_exit_code(done.error());
}
