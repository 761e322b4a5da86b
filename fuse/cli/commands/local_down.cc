// dfs local down: the cluster stops, its data stays unless told otherwise.
#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include "fuse/cli/command.h"
#include "fuse/cli/local/local_cluster.h"
#include "fuse/cli/local/say.h"
#include "fuse/cli/output.h"

namespace dfs::cli {

namespace {

struct DownOptions {
  std::string directory{kLocalDirectoryDefault};
  bool wipe = false;
  unsigned timeout_s = 120;
};

Result<void> down(const DownOptions& options) {
  LocalCluster cluster = TRY(LocalCluster::open(options.directory, say_to_people(false)));
  TRY(cluster.stop_all(std::chrono::seconds(options.timeout_s)));
  if (!options.wipe) {
    print_line("stopped; the data stays in " + cluster.state().directory.string());
    return {};
  }
  TRY(cluster.wipe());
  print_line("stopped, and all data removed from " + cluster.state().directory.string());
  return {};
}

}  // namespace

void add_local_down_command(CLI::App& parent, Choice& choice) {
  CLI::App* command = parent.add_subcommand("down", "Stop the cluster: mounts, then storage, then metadata");
  const auto options = std::make_shared<DownOptions>();
  command->add_option("--dir", options->directory, "The cluster's directory")->capture_default_str();
  command->add_flag("--wipe", options->wipe, "Remove all its data too");
  command->add_option("--timeout", options->timeout_s, "Seconds one process may take to stop")
      ->check(CLI::Range(1, 3600))
      ->capture_default_str();
  add_examples(*command, "  dfs local down\n  dfs local down --dir ./cluster --wipe");
  command->callback([options, &choice] { choice.set([options] { return down(*options); }); });
}

}  // namespace dfs::cli
