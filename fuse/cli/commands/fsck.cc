// dfs fsck: is everything there that should be, and does it fit together?
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "common/base/clock.h"
#include "fuse/cli/command.h"
#include "fuse/cli/connection.h"
#include "fuse/cli/copies_check.h"
#include "fuse/cli/local/cluster_plan.h"
#include "fuse/cli/output.h"

namespace dfs::cli {

namespace {

// As fsck(8) has them.
constexpr int kExitClean = 0;
constexpr int kExitMended = 1;
constexpr int kExitLeft = 4;
constexpr int kExitFailedToCheck = 8;

struct FsckOptions {
  ConnectOptions connect;
  std::string offline;  // a data directory
  bool repair = false;
  bool tables_only = false;
  bool json = false;
};

// Says how far it is, on a terminal.
class ProgressText {
 public:
  ~ProgressText() { clear(); }
  void show(const std::string& text) {
    if (!is_shown_ || SystemClock::instance().now() - drawn_ < std::chrono::milliseconds{200}) return;
    drawn_ = SystemClock::instance().now();
    std::fprintf(stderr, "\r\033[K%s", text.c_str());
    std::fflush(stderr);
    is_drawn_ = true;
  }
  void clear() {
    if (!std::exchange(is_drawn_, false)) return;
    std::fprintf(stderr, "\r\033[K");
    std::fflush(stderr);
  }

 private:
  const bool is_shown_ = is_terminal(STDERR_FILENO);
  bool is_drawn_ = false;
  SteadyTime drawn_{};
};

// Prints what is found, as it is found.
class Printer {
 public:
  explicit Printer(bool json) : json_(json) {}

  void print_report(const FsckReport& report) {
    progress.clear();
    if (json_)
      return print_line_of({{"problem", report.text},
                            {"repaired", report.mended},
                            {"not_repaired", report.not_mended},
                            {"repairable", report.mendable}});
    print_line(escaped(report.text));
    if (!report.mended.empty()) print_line("    repaired: " + escaped(report.mended));
    if (!report.not_mended.empty()) print_line("    not repaired: " + escaped(report.not_mended));
    else if (report.mended.empty())
      print_line(report.mendable ? "    `dfs fsck --repair` repairs it" : "    this cannot be repaired");
  }
  void print_copies(const CopiesFinding& finding) {
    progress.clear();
    if (!json_) return print_line(escaped(to_text(finding)));
    static constexpr const char* kKinds[] = {"lost", "unreachable", "few copies"};
    print_line_of({{"problem", to_text(finding)},
                   {"kind", kKinds[static_cast<int>(finding.kind)]},
                   {"path", finding.use.path},
                   {"inode", finding.use.inode.value()},
                   {"offset", finding.use.offset},
                   {"length", finding.use.length},
                   {"chunk", to_string(finding.use.chunk)},
                   {"copies", finding.copies},
                   {"copies_wanted", finding.wanted}});
  }
  void print_summary(const FsckPart& tables, const CopiesSummary& copies, bool asked_servers) {
    progress.clear();
    const std::uint64_t unreadable = copies.lost + copies.unreachable;
    if (json_)
      return print_line_of({{"repaired", tables.mended},
                            {"left", tables.left},
                            {"chunks_checked", copies.chunks},
                            {"lost", copies.lost},
                            {"unreachable", copies.unreachable},
                            {"few_copies", copies.few},
                            {"clean", tables.mended + tables.left + unreadable == 0}});
    std::string text = tables.left == 0 ? "the tables fit together" : fmt::format("{} problems are left", tables.left);
    if (tables.mended > 0) text += fmt::format(", {} were repaired", tables.mended);
    if (asked_servers && unreadable == 0)
      text += fmt::format("; all of {} chunks are there", copies.chunks);
    if (unreadable > 0)
      text += fmt::format("; of {} chunks some are missing, in {} places of files", copies.chunks, unreadable);
    if (copies.few > 0)
      text += fmt::format("; {} places have too few copies, which are made by themselves (`dfs status`)", copies.few);
    print_line(text);
  }

  ProgressText progress;

 private:
  static void print_line_of(const nlohmann::json& value) {
    print_line(value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  }
  const bool json_;
};

// Returns its last part.
Result<FsckPart> check_tables(FsckClient& meta, const FsckOptions& options, Printer& printer) {
  FsckBegin begin;
  begin.repair = options.repair;
  const std::uint64_t run = TRY(meta.begin(begin));
  while (true) {
    FsckPart part = TRY(meta.next(run));
    for (const FsckReport& report : part.reports) printer.print_report(report);
    if (part.done) return part;
    printer.progress.show(fmt::format("checking names and chunks: {} rows and inodes looked at, of a file system of {} inodes",
                                      part.rows, part.inodes));
  }
}

Result<int> check_online(const FsckOptions& options) {
  const std::string address = TRY(find_meta_address(options.connect));
  const auto connection = TRY(Connection::open(options.connect));
  const auto meta = make_fsck_client(address, std::chrono::seconds(options.connect.timeout_s));
  Printer printer(options.json);
  const FsckPart tables = TRY(check_tables(*meta, options, printer));
  CopiesSummary copies;
  if (!options.tables_only) {
    CopiesCheck check(*meta, connection->storage());
    copies = TRY(check.run(
        [&](const CopiesFinding& finding) -> Result<void> {
          printer.print_copies(finding);
          return {};
        },
        [&](std::uint64_t chunks) {
          printer.progress.show(fmt::format("asking storage servers: {} chunks so far", chunks));
        }));
  }
  printer.print_summary(tables, copies, !options.tables_only);
  if (tables.left + copies.lost + copies.unreachable > 0) return kExitLeft;
  return tables.mended > 0 ? kExitMended : kExitClean;
}

// The metadata server's own program checks its directory, in place of this one.
Result<int> check_offline(const FsckOptions& options) {
  const std::string program = TRY(program_path("dfs-meta"));
  const char* argv[] = {program.c_str(), "fsck", "--data", options.offline.c_str(),
                        options.repair ? "--repair" : nullptr, nullptr};
  ::execv(program.c_str(), const_cast<char**>(argv));
  return fail_errno(errno, "running " + program);
}

Result<int> fsck(const FsckOptions& options) {
  if (options.offline.empty()) return check_online(options);
  if (options.json) return fail(Errc::invalid, "--json and --offline do not go together");
  return check_offline(options);
}

}  // namespace

void add_fsck_command(CLI::App& parent, Choice& choice) {
  CLI::App* command = parent.add_subcommand("fsck", "Check names, chunks and copies, and repair them");
  const auto options = std::make_shared<FsckOptions>();
  command->add_flag("--repair", options->repair, "Repair what has one right answer, and say what was done");
  command->add_flag("--tables-only", options->tables_only, "Do not ask storage servers what they hold");
  command->add_option("--offline", options->offline,
                      "Check this data directory of a metadata server that is stopped instead");
  command->add_flag("--json", options->json, "Print a line of JSON for each finding, and one at the end");
  add_connect_options(*command, options->connect);
  add_examples(*command,
               "  dfs fsck\n  dfs fsck --repair\n  dfs fsck --offline /var/lib/dfs/meta --repair\n\n"
               "Exit code: 0 nothing was found, 1 everything was repaired, 4 something is left, 8 the\n"
               "check could not be made. Copies that are being made are told, and are no error.");
  command->callback([options, &choice] {
    choice.set(Choice::CodedWork([options] { return fsck(*options); }), kExitFailedToCheck);
  });
}

}  // namespace dfs::cli
