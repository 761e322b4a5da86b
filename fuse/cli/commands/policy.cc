// dfs policy: how data is kept.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "common/base/config_file.h"
#include "common/rpc/meta_client.h"
#include "fuse/cli/command.h"
#include "fuse/cli/connection.h"
#include "fuse/cli/output.h"
#include "fuse/cli/remote_path.h"

namespace dfs::cli {

namespace {

struct PolicyOptions {
  ConnectOptions connect;
  std::string path;
  std::optional<std::uint32_t> replicas;
  std::string chunk_size;  // empty: not said
  bool json = false;
};

std::string origin(std::uint32_t own) { return own != 0 ? "its own" : "inherited"; }

nlohmann::json if_any(std::uint32_t own) {
  return own != 0 ? nlohmann::json(own) : nlohmann::json();
}

Result<void> print_policy(const PolicyOptions& options, Connection& connection, InodeId inode) {
  const auto policy = TRY(call_for<PolicyResult>(connection.meta(), GetPolicyArgs{inode},
                                                 connection.context().caller, nullptr));
  if (options.json) {
    print_json({{"path", options.path},
                {"replicas", policy.replicas},
                {"chunk_size", policy.chunk_size},
                {"own_replicas", if_any(policy.own_replicas)},
                {"own_chunk_size", if_any(policy.own_chunk_size)}});
    return {};
  }
  print_line(fmt::format("{:<12}{}", "path", escaped(options.path)));
  print_line(fmt::format("{:<12}{} ({})", "replicas", policy.replicas, origin(policy.own_replicas)));
  print_line(fmt::format("{:<12}{} ({})", "chunk size", format_size(policy.chunk_size),
                         origin(policy.own_chunk_size)));
  return {};
}

Result<void> get(const PolicyOptions& options) {
  const auto connection = TRY(Connection::open(options.connect));
  const Attributes facts =
      TRY(resolve(connection->files(), connection->context(), options.path, LastLink::follow));
  return print_policy(options, *connection, facts.inode);
}

Result<SetPolicyArgs> wishes_of(const PolicyOptions& options) {
  SetPolicyArgs args;
  args.replicas = options.replicas;
  if (!options.chunk_size.empty()) {
    const std::uint64_t bytes = TRY(parse_size(options.chunk_size));
    if (bytes > kChunkSizeMax)
      return fail(Errc::invalid, fmt::format("--chunk-size {}: {} is the most", options.chunk_size,
                                             format_size(kChunkSizeMax)));
    args.chunk_size = static_cast<std::uint32_t>(bytes);
  }
  if (!args.replicas && !args.chunk_size)
    return fail(Errc::invalid, "say what to set: --replicas or --chunk-size");
  return args;
}

// Else whatever is written there would wait for servers that do not exist.
Result<void> check_servers(const SetPolicyArgs& args, const GroupTable& table) {
  if (args.replicas.value_or(0) <= table.servers.size()) return {};
  return fail(Errc::invalid, fmt::format("{} replicas need as many servers, there are {}",
                                         *args.replicas, table.servers.size()));
}

Result<void> set(const PolicyOptions& options) {
  SetPolicyArgs args = TRY(wishes_of(options));
  const auto connection = TRY(Connection::open(options.connect));
  const CallContext context = connection->context();
  TRY(check_servers(args, *connection->meta().group_table()));
  const Attributes facts = TRY(resolve(connection->files(), context, options.path, LastLink::follow));
  args.inode = facts.inode;
  auto done = call_for<AttributesResult>(connection->meta(), args, context.caller, nullptr);
  if (!done) return fail(about(options.path, std::move(done).error()));
  return print_policy(options, *connection, facts.inode);
}

CLI::App* add_one(CLI::App& parent, const char* name, const char* help, PolicyOptions& options) {
  CLI::App* command = parent.add_subcommand(name, help);
  command->add_option("PATH", options.path, "A directory or a file")->required();
  command->add_flag("--json", options.json, "Print JSON");
  add_connect_options(*command, options.connect);
  return command;
}

void add_get(CLI::App& parent, Choice& choice) {
  const auto options = std::make_shared<PolicyOptions>();
  CLI::App* command = add_one(parent, "get", "Show how data is kept there", *options);
  add_examples(*command, "  dfs policy get /photos");
  command->callback([options, &choice] { choice.set([options] { return get(*options); }); });
}

void add_set(CLI::App& parent, Choice& choice) {
  const auto options = std::make_shared<PolicyOptions>();
  CLI::App* command = add_one(parent, "set", "Say how data is kept there", *options);
  command->add_option("--replicas", options->replicas, "Copies of each chunk; 0: as the directory above");
  command->add_option("--chunk-size", options->chunk_size,
                      "Where files are cut, such as 4MiB; 0: as the directory above");
  add_examples(*command,
               "  dfs policy set /scratch --replicas 1     what is there follows: see dfs status\n"
               "  dfs policy set /videos --chunk-size 64MiB\n"
               "  dfs policy set /scratch --replicas 0");
  command->callback([options, &choice] { choice.set([options] { return set(*options); }); });
}

}  // namespace

void add_policy_command(CLI::App& parent, Choice& choice) {
  CLI::App* policy = parent.add_subcommand(
      "policy", "Copies and chunk size of data, per directory; what is there is brought to other copies");
  policy->require_subcommand(1);
  add_examples(*policy,
               "  dfs policy get /photos\n"
               "  dfs policy set /scratch --replicas 1");
  add_get(*policy, choice);
  add_set(*policy, choice);
}

}  // namespace dfs::cli
