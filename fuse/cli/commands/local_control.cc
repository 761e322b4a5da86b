// dfs local start|stop|kill NAME: one process of the cluster on this machine.
#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include "fuse/cli/command.h"
#include "fuse/cli/local/local_cluster.h"
#include "fuse/cli/local/say.h"

namespace dfs::cli {

namespace {

struct ControlOptions {
  std::string directory{kLocalDirectoryDefault};
  std::string name;
  unsigned timeout_s = 60;
};

using Control = Result<void> (*)(LocalCluster& cluster, const ControlOptions& options);

Result<void> start(LocalCluster& cluster, const ControlOptions& options) {
  return cluster.start(options.name, std::chrono::seconds(options.timeout_s));
}
Result<void> stop(LocalCluster& cluster, const ControlOptions& options) {
  return cluster.stop(options.name, std::chrono::seconds(options.timeout_s));
}
Result<void> kill(LocalCluster& cluster, const ControlOptions& options) {
  return cluster.kill(options.name);
}

void add(CLI::App& parent, Choice& choice, const std::string& verb, const std::string& help, Control control) {
  CLI::App* command = parent.add_subcommand(verb, help);
  const auto options = std::make_shared<ControlOptions>();
  command->add_option("NAME", options->name, "meta, storage1, mount1, ... or a mount point")->required();
  command->add_option("--dir", options->directory, "The cluster's directory")->capture_default_str();
  command->add_option("--timeout", options->timeout_s, "Seconds it may take")
      ->check(CLI::Range(1, 3600))
      ->capture_default_str();
  add_examples(*command, "  dfs local " + verb + " storage2");
  command->callback([options, control, &choice] {
    choice.set([options, control]() -> Result<void> {
      LocalCluster cluster = TRY(LocalCluster::open(options->directory, say_to_people(false)));
      return control(cluster, *options);
    });
  });
}

}  // namespace

void add_local_control_commands(CLI::App& parent, Choice& choice) {
  add(parent, choice, "start", "Start one process; of a mount, what a dead one left is removed first", start);
  add(parent, choice, "stop", "Ask one process to end and wait for it", stop);
  add(parent, choice, "kill", "End one process at once, as a crash would", kill);
}

}  // namespace dfs::cli
