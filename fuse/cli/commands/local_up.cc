// dfs local up: a whole cluster on this machine.
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "common/rpc/meta_client.h"
#include "fuse/cli/command.h"
#include "fuse/cli/connection.h"
#include "fuse/cli/local/local_cluster.h"
#include "fuse/cli/local/say.h"
#include "fuse/cli/output.h"

namespace dfs::cli {

namespace {

struct UpOptions {
  std::string directory{kLocalDirectoryDefault};
  unsigned servers = 0;   // 0: not given
  unsigned replicas = 0;  // 0: not given
  std::vector<std::string> mounts;
  std::string chunk_size;
  std::string bind;
  std::vector<std::string> extra;  // TO=OPTION
  unsigned timeout_s = 60;
  bool json = false;
};

Result<ClusterWishes> wishes_of(const UpOptions& options) {
  ClusterWishes wishes;
  if (options.servers > 0) wishes.servers = options.servers;
  if (options.replicas > 0) wishes.replicas = options.replicas;
  for (const std::string& mount : options.mounts) wishes.mounts.emplace_back(mount);
  wishes.chunk_size = options.chunk_size;
  wishes.bind = options.bind;
  for (const std::string& text : options.extra) {
    const std::size_t separator = text.find('=');
    if (separator == std::string::npos || separator == 0)
      return fail(Errc::invalid, fmt::format("--extra {}: expected WHO=OPTION", text));
    wishes.extra.push_back({text.substr(0, separator), text.substr(separator + 1)});
  }
  return wishes;
}

bool is_complete(const GroupTable& table, unsigned servers) {
  const auto alive = std::ranges::count_if(table.servers, [](const auto& entry) { return entry.second.alive; });
  return static_cast<std::size_t>(alive) >= servers && !table.groups.empty();
}

// A storage server that runs may still be introducing itself; files can be
// written once all are known and have been made into groups.
Result<void> wait_complete(const ClusterState& state, std::chrono::seconds limit) {
  constexpr std::chrono::milliseconds kPause{50};
  const SteadyTime deadline = SystemClock::instance().now() + limit;
  ConnectOptions options;
  options.meta = state.meta_address();
  options.timeout_s = static_cast<unsigned>(limit.count());
  const auto connection = TRY(Connection::open(options));
  for (;;) {
    const auto facts = TRY(call_for<ClusterStatusResult>(connection->meta(), ClusterStatusArgs{},
                                                         connection->context().caller, nullptr));
    if (is_complete(facts.group_table, state.count(Role::storage))) return {};
    if (SystemClock::instance().now() > deadline)
      return fail(Errc::timed_out, fmt::format("the metadata server knows {} servers and {} groups after {} s; {} servers were started",
                                               facts.group_table.servers.size(), facts.group_table.groups.size(),
                                               limit.count(), state.count(Role::storage)));
    std::this_thread::sleep_for(kPause);
  }
}

Result<void> up(const UpOptions& options) {
  const std::chrono::seconds limit(options.timeout_s);
  const ClusterWishes wishes = TRY(wishes_of(options));
  LocalCluster cluster = TRY(LocalCluster::create(options.directory, wishes, say_to_people(options.json)));
  TRY(cluster.start_all(limit));
  TRY(wait_complete(cluster.state(), limit));
  if (options.json) {
    print_json(describe(cluster.state()));
    return {};
  }
  print_line(fmt::format("ready: {} servers, {} replicas, metadata server {}",
                         cluster.state().count(Role::storage), cluster.state().replicas,
                         cluster.state().meta_address()));
  return {};
}

}  // namespace

void add_local_up_command(CLI::App& parent, Choice& choice) {
  CLI::App* command = parent.add_subcommand("up", "Start a cluster, or what is missing of it");
  const auto options = std::make_shared<UpOptions>();
  command->add_option("--dir", options->directory, "Where it keeps data, logs and state")->capture_default_str();
  command->add_option("--servers", options->servers, "Storage servers (default: 3, or as before)")
      ->check(CLI::Range(1U, kLocalServersMax));
  command->add_option("--replicas", options->replicas, "Copies of every chunk (default: 3, or as before)")
      ->check(CLI::Range(1U, kLocalServersMax));
  command->add_option("--mount", options->mounts, "Mount it here; may be repeated");
  command->add_option("--chunk-size", options->chunk_size, "Where files are cut, such as 8MiB");
  command->add_option("--bind", options->bind, "Address the servers listen on (default: 127.0.0.1)");
  command->add_option("--extra", options->extra,
                      "WHO=OPTION: one more option for meta, storage, mount or one of them by name");
  command->add_option("--timeout", options->timeout_s, "Seconds each kind of process may take to start")
      ->check(CLI::Range(1, 3600))
      ->capture_default_str();
  command->add_flag("--json", options->json, "Print JSON");
  add_examples(*command,
               "  dfs local up --servers 3 --replicas 3 --mount /mnt/dfs\n"
               "  dfs local up --dir ./cluster --servers 1 --mount ./a --mount ./b\n"
               "  dfs local up --extra storage=--reserve=64MiB");
  command->callback([options, &choice] { choice.set([options] { return up(*options); }); });
}

}  // namespace dfs::cli
