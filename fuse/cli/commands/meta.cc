// dfs meta: copies of all metadata.
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <filesystem>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "common/base/config_file.h"
#include "common/base/row_file.h"
#include "common/rpc/backup_client.h"
#include "fuse/cli/command.h"
#include "fuse/cli/connection.h"
#include "fuse/cli/output.h"
#include "fuse/cli/progress.h"

namespace dfs::cli {

namespace {

constexpr const char* kStandardOutput = "-";

struct BackupOptions {
  ConnectOptions connect;
  std::string file;
};

struct VerifyOptions {
  std::string file;
  bool json = false;
};

Result<RowFileWriter> begin_file(const std::string& file, const RowFileFacts& facts) {
  if (file != kStandardOutput) return RowFileWriter::create(file, facts);
  UniqueFd output(::dup(STDOUT_FILENO));
  if (!output) return fail_errno(errno, "standard output");
  return RowFileWriter::onto(std::move(output), "standard output", facts);
}

Result<void> add_rows(RowFileWriter& file, std::string_view rows) {
  std::string_view key;
  std::string_view value;
  while (take_row(rows, key, value)) TRY(file.add(key, value));
  if (!rows.empty())
    return fail(Errc::bad_message, "the metadata server sends a row that is not whole");
  return {};
}

Result<void> backup(const BackupOptions& options) {
  const std::string address = TRY(find_meta_address(options.connect));
  const auto client = make_backup_client(address, ::geteuid(),
                                         std::chrono::seconds(options.connect.timeout_s));
  // Nothing is written before the server has answered.
  BackupPage page = TRY(client->next());
  RowFileWriter file = TRY(begin_file(options.file, page.facts));
  Progress progress("backup", SystemClock::instance());
  progress.expect(page.bytes_about, 0);
  while (true) {
    TRY(add_rows(file, page.rows));
    progress.add_bytes(page.rows.size());
    if (page.last) break;
    page = TRY(client->next());
  }
  const RowFileSummary summary = TRY(file.finish());
  progress.finish();
  if (options.file != kStandardOutput)
    print_line(fmt::format("{}: {} rows, {}", escaped(options.file), summary.rows,
                           format_size(summary.bytes)));
  return {};
}

Result<void> verify(const VerifyOptions& options) {
  RowFileReader file = TRY(RowFileReader::open(options.file));
  std::string_view key;
  std::string_view value;
  while (true) {
    const bool more = TRY(file.next(key, value));
    if (!more) break;
  }
  const RowFileSummary& summary = file.summary();
  if (options.json) {
    nlohmann::json facts(file.facts());
    facts["rows"] = summary.rows;
    facts["bytes"] = summary.bytes;
    print_json(facts);
    return {};
  }
  WallNanos time = 0;
  const std::string& text = file.fact("time");
  std::from_chars(text.data(), text.data() + text.size(), time);
  print_line(fmt::format("{} is whole", escaped(options.file)));
  print_line(fmt::format("{:<10}{}", "what", escaped(file.fact("what"))));
  print_line(fmt::format("{:<10}{}", "cluster", escaped(file.fact("cluster"))));
  print_line(fmt::format("{:<10}{}", "of", format_time(time)));
  print_line(fmt::format("{:<10}{}", "rows", summary.rows));
  print_line(fmt::format("{:<10}{}", "size", format_size(summary.bytes)));
  return {};
}

void add_backup(CLI::App& parent, Choice& choice) {
  const auto options = std::make_shared<BackupOptions>();
  CLI::App* command = parent.add_subcommand(
      "backup", "Copy all metadata, as it is at one moment, into one file; the server goes on");
  command->add_option("FILE", options->file, "Where to; - is standard output")->required();
  add_connect_options(*command, options->connect);
  add_examples(*command,
               "  dfs meta backup /backup/dfs-meta.$(date +%F)\n"
               "  dfs meta backup - | ssh elsewhere 'cat > dfs-meta.backup'");
  command->callback([options, &choice] { choice.set([options] { return backup(*options); }); });
}

void add_verify(CLI::App& parent, Choice& choice) {
  const auto options = std::make_shared<VerifyOptions>();
  CLI::App* command = parent.add_subcommand(
      "verify", "Say whether such a file is whole, and of which cluster and moment");
  command->add_option("FILE", options->file, "The backup")->required();
  command->add_flag("--json", options->json, "Print JSON");
  add_examples(*command, "  dfs meta verify /backup/dfs-meta.2026-01-31");
  command->callback([options, &choice] { choice.set([options] { return verify(*options); }); });
}

}  // namespace

void add_meta_command(CLI::App& parent, Choice& choice) {
  CLI::App* meta = parent.add_subcommand("meta", "Back up the metadata; `dfs-meta restore` reads it");
  meta->require_subcommand(1);
  add_examples(*meta,
               "  dfs meta backup /backup/dfs-meta.$(date +%F)\n"
               "  dfs meta verify /backup/dfs-meta.2026-01-31");
  add_backup(*meta, choice);
  add_verify(*meta, choice);
}

}  // namespace dfs::cli
