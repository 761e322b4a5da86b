// dfs local status: each process of the cluster on this machine.
#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "fuse/cli/command.h"
#include "fuse/cli/local/cluster_plan.h"
#include "fuse/cli/output.h"

namespace dfs::cli {

namespace {

struct LocalStatusOptions {
  std::string directory{kLocalDirectoryDefault};
  bool json = false;
};

Result<void> local_status(const LocalStatusOptions& options) {
  const std::filesystem::path directory = TRY(settled_path(options.directory));
  const ClusterState state = TRY(load_cluster(directory));
  if (options.json) {
    print_json(describe(state));
    return {};
  }
  Table rows({{"NAME"}, {"STATE"}, {"PID", Table::Align::right}, {"ADDRESS"}, {"PLACE"}, {"LOG"}});
  for (const ClusterProcess& process : state.processes) {
    const bool alive = is_alive(process.process);
    rows.add({process.name, alive ? "runs" : "down", alive ? std::to_string(process.process.pid) : "-",
              process.address.empty() ? "-" : process.address, escaped(process.place.string()),
              state.log_file(process).string()});
  }
  print(rows.text());
  print_line("\nEach one alone:");
  for (const ClusterProcess& process : state.processes) {
    if (!process.argv.empty()) print_line("  " + shell_quoted(process.argv));
  }
  return {};
}

}  // namespace

void add_local_status_command(CLI::App& parent, Choice& choice) {
  CLI::App* command = parent.add_subcommand("status", "Show each process and the command that starts it alone");
  const auto options = std::make_shared<LocalStatusOptions>();
  command->add_option("--dir", options->directory, "The cluster's directory")->capture_default_str();
  command->add_flag("--json", options->json, "Print JSON");
  add_examples(*command, "  dfs local status\n  dfs local status --json | jq '.processes[].pid'");
  command->callback([options, &choice] { choice.set([options] { return local_status(*options); }); });
}

}  // namespace dfs::cli
