// dfs: the command line of the file system.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <CLI/CLI.hpp>

#include "common/base/log.h"
#include "common/base/process.h"
#include "fuse/cli/command.h"
#include "fuse/cli/output.h"

namespace {

using namespace dfs;

constexpr int kExitWrongUsage = 2;

constexpr cli::AddCommand kCommands[] = {
    cli::add_status_command, cli::add_ls_command,    cli::add_stat_command,
    cli::add_size_command,   cli::add_locate_command, cli::add_put_command,
    cli::add_get_command,    cli::add_mkdir_command, cli::add_rm_command,
    cli::add_policy_command, cli::add_server_command, cli::add_mount_command,
    cli::add_meta_command,   cli::add_fsck_command,   cli::add_local_command,
};

// What the engine has to say goes to stderr only when it matters to the user:
// the command itself reports the failure it ends with.
Result<void> quiet_logging() {
  LogConfig config;
  config.level = LogLevel::error;
  const char* wanted = std::getenv("DFS_LOG_LEVEL");
  if (wanted != nullptr) config.level = TRY(parse_log_level(wanted));
  return init_logging("dfs", config);
}

int report(const std::string& text, int exit_code) {
  std::fflush(stdout);
  std::fprintf(stderr, "dfs: %s\n", cli::one_line(text).c_str());
  return exit_code;
}

// The first word that should be a command and is none: CLI11 would only say
// that one is missing.
std::string unknown_command(const CLI::App& app, int argc, char** argv) {
  const CLI::App* level = &app;
  for (int at = 1; at < argc; ++at) {
    const std::string word = argv[at];
    const auto known = level->get_subcommands([](const CLI::App*) { return true; });
    if (word.starts_with('-') || known.empty()) return {};
    const auto named = std::ranges::find_if(
        known, [&](const CLI::App* command) { return command->check_name(word); });
    if (named == known.end()) return word;
    level = *named;
  }
  return {};
}

std::string complaint_about(const CLI::ParseError& problem, const CLI::App& app, int argc, char** argv) {
  const std::string unknown = unknown_command(app, argc, argv);
  const std::string what = unknown.empty() ? problem.what() : "there is no command " + unknown;
  return what + "; `dfs --help` shows what there is";
}

}  // namespace

int main(int argc, char** argv) {
  tune_malloc();
  std::signal(SIGPIPE, SIG_IGN);

  CLI::App app("dfs: look at, fill and run a dfs file system.", "dfs");
  app.set_version_flag("--version", "dfs " + version());
  app.require_subcommand(1);
  app.get_formatter()->column_width(34);
  cli::add_examples(app,
                    "  dfs local up --dir /var/lib/dfs-local --servers 3 --mount /mnt/dfs\n"
                    "  dfs status\n"
                    "  dfs put -r ./photos /photos\n"
                    "  dfs COMMAND --help");

  cli::Choice choice;
  for (const cli::AddCommand add : kCommands) add(app, choice);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& problem) {
    if (problem.get_exit_code() == 0) return app.exit(problem);  // --help, --version
    return report(complaint_about(problem, app, argc, argv), kExitWrongUsage);
  }

  if (const auto ready = quiet_logging(); !ready) return report(ready.error().to_string(), kExitWrongUsage);
  const auto done = choice.run();
  if (!done) return report(done.error().to_string(), choice.exit_code_of_failure());
  if (const auto written = cli::finish_output(); !written)
    return report(written.error().to_string(), choice.exit_code_of_failure());
  return *done;
}
