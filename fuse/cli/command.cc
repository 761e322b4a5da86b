#include "fuse/cli/command.h"

#include <CLI/CLI.hpp>

namespace dfs::cli {

void add_examples(CLI::App& command, const std::string& lines) {
  command.footer("\nExamples:\n" + lines);
}

void add_local_command(CLI::App& parent, Choice& choice) {
  CLI::App* local = parent.add_subcommand("local", "Run a whole cluster on this machine");
  local->require_subcommand(1);
  add_examples(*local,
               "  dfs local up --dir /var/lib/dfs-local --servers 3 --mount /mnt/dfs\n"
               "  dfs local status\n"
               "  dfs local kill storage2; dfs local start storage2\n"
               "  dfs local down");
  add_local_up_command(*local, choice);
  add_local_down_command(*local, choice);
  add_local_status_command(*local, choice);
  add_local_control_commands(*local, choice);
}

}  // namespace dfs::cli
