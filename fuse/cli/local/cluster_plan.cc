#include "fuse/cli/local/cluster_plan.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

#include "common/base/address.h"
#include "common/base/config_file.h"
#include "fuse/cli/local/ports.h"

namespace dfs::cli {

namespace {

constexpr std::string_view kLoopback = "127.0.0.1";

std::string address_of(const std::string& host, std::uint16_t port) {
  return Address{.host = host, .port = port, .unix_path = {}}.to_string();
}

std::vector<std::uint16_t> ports_of(const ClusterState& state) {
  std::vector<std::uint16_t> ports;
  for (const ClusterProcess& process : state.processes) {
    if (const auto address = parse_address(process.address)) ports.push_back(address->port);
  }
  return ports;
}

Result<void> check(const ClusterWishes& wishes) {
  if (wishes.servers && (*wishes.servers < 1 || *wishes.servers > kLocalServersMax))
    return fail(Errc::invalid, fmt::format("--servers is 1 to {}", kLocalServersMax));
  if (wishes.replicas && *wishes.replicas < 1) return fail(Errc::invalid, "--replicas is at least 1");
  if (!wishes.chunk_size.empty()) TRY(parse_size(wishes.chunk_size));
  return {};
}

Result<void> check_replicas(const ClusterState& state) {
  if (state.replicas <= state.count(Role::storage)) return {};
  return fail(Errc::invalid, fmt::format("{} replicas need as many servers, there are {}",
                                         state.replicas, state.count(Role::storage)));
}

// Keeps the order by role, then number.
void insert(ClusterState& state, ClusterProcess process) {
  const auto after = std::ranges::upper_bound(state.processes, process.role, {}, &ClusterProcess::role);
  state.processes.insert(after, std::move(process));
}

Result<void> add_servers(ClusterState& state, Role role, unsigned count) {
  const auto ports = TRY(find_free_ports(state.bind, count, ports_of(state)));
  const unsigned first = state.count(role) + 1;
  for (unsigned at = 0; at < count; ++at) {
    ClusterProcess process;
    process.role = role;
    process.name = role == Role::meta ? "meta" : fmt::format("storage{}", first + at);
    process.address = address_of(state.bind, ports[at]);
    process.place = state.directory / process.name;
    insert(state, std::move(process));
  }
  return {};
}

Result<void> add_mounts(ClusterState& state, const std::vector<std::filesystem::path>& mounts) {
  for (const auto& wanted : mounts) {
    const std::filesystem::path place = TRY(settled_path(wanted));
    const bool known = std::ranges::any_of(state.processes, [&](const ClusterProcess& process) {
      return process.role == Role::mount && process.place == place;
    });
    if (known) continue;
    ClusterProcess process;
    process.role = Role::mount;
    process.name = fmt::format("mount{}", state.count(Role::mount) + 1);
    process.place = place;
    insert(state, std::move(process));
  }
  return {};
}

Result<void> add_extra(ClusterState& state, const std::vector<ExtraOption>& extra) {
  for (const ExtraOption& option : extra) {
    const bool is_role = option.to == "meta" || option.to == "storage" || option.to == "mount";
    if (!is_role && state.find(option.to) == nullptr)
      return fail(Errc::invalid, fmt::format("--extra {}={}: there is no process of that name",
                                             option.to, option.option));
    const bool known = std::ranges::any_of(state.extra, [&](const ExtraOption& old) {
      return old.to == option.to && old.option == option.option;
    });
    if (!known) state.extra.push_back(option);
  }
  return {};
}

}  // namespace

Result<std::string> program_path(const std::string& name) {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return fail_errno(error.value(), "read /proc/self/exe");
  const std::filesystem::path path = self.parent_path() / name;
  if (::access(path.c_str(), X_OK) != 0)
    return fail_errno(errno, fmt::format("{} is not beside {}", name, self.string()));
  return path.string();
}

Result<std::filesystem::path> settled_path(const std::filesystem::path& path) {
  if (path.empty()) return fail(Errc::invalid, "an empty path");
  std::error_code error;
  std::filesystem::path whole = std::filesystem::absolute(path, error).lexically_normal();
  if (error) return fail_errno(error.value(), "find " + path.string());
  if (whole.filename().empty()) whole = whole.parent_path();  // a slash at the end
  if (whole == whole.root_path()) return whole;
  const std::filesystem::path parent = std::filesystem::weakly_canonical(whole.parent_path(), error);
  if (error) return fail_errno(error.value(), "find " + whole.parent_path().string());
  return parent / whole.filename();
}

Result<ClusterState> plan_cluster(const std::filesystem::path& directory, const ClusterWishes& wishes) {
  TRY(check(wishes));
  ClusterState state;
  state.directory = directory;
  state.bind = wishes.bind.empty() ? std::string(kLoopback) : wishes.bind;
  const unsigned servers = wishes.servers.value_or(kLocalServersDefault);
  state.replicas = wishes.replicas.value_or(std::min(kLocalReplicasDefault, servers));
  state.chunk_size = wishes.chunk_size;
  TRY(add_servers(state, Role::meta, 1));
  TRY(add_servers(state, Role::storage, servers));
  TRY(check_replicas(state));
  TRY(add_mounts(state, wishes.mounts));
  TRY(add_extra(state, wishes.extra));
  return state;
}

Result<void> extend_plan(ClusterState& state, const ClusterWishes& wishes) {
  TRY(check(wishes));
  const auto differs = [&](std::string_view option, const auto& is, const auto& wished) {
    return fail(Errc::invalid, fmt::format("the cluster in {} was made with {} {}, not {}",
                                           state.directory.string(), option, is, wished));
  };
  const unsigned servers = state.count(Role::storage);
  if (wishes.servers && *wishes.servers < servers) return differs("--servers", servers, *wishes.servers);
  if (wishes.replicas && *wishes.replicas != state.replicas)
    return differs("--replicas", state.replicas, *wishes.replicas);
  if (!wishes.bind.empty() && wishes.bind != state.bind)
    return differs("--bind", state.bind, wishes.bind);
  if (!wishes.chunk_size.empty() && wishes.chunk_size != state.chunk_size) {
    const std::string is = state.chunk_size.empty() ? "the default" : state.chunk_size;
    return differs("--chunk-size", is, wishes.chunk_size);
  }
  if (wishes.servers) TRY(add_servers(state, Role::storage, *wishes.servers - servers));
  TRY(add_mounts(state, wishes.mounts));
  TRY(add_extra(state, wishes.extra));
  return {};
}

Result<std::vector<std::string>> command_line(const ClusterState& state,
                                              const ClusterProcess& process) {
  std::vector<std::string> argv;
  const auto add = [&](std::initializer_list<std::string> words) {
    argv.insert(argv.end(), words);
  };
  std::string path = TRY(program_path(fmt::format("dfs-{}", name_of(process.role))));
  add({std::move(path)});
  switch (process.role) {
    case Role::meta:
      add({"--data", process.place, "--listen", process.address});
      add({"--replicas", std::to_string(state.replicas)});
      if (!state.chunk_size.empty()) add({"--chunk-size", state.chunk_size});
      break;
    case Role::storage:
      add({"--data", process.place, "--listen", process.address, "--meta", state.meta_address()});
      // Each is a failure domain of its own, or no file could have replicas here.
      add({"--label", "host=" + process.name});
      break;
    case Role::mount:
      add({state.meta_address(), process.place, "-f"});
      break;
  }
  add({"--log-file", state.log_file(process)});
  for (const ExtraOption& extra : state.extra) {
    if (extra.to == name_of(process.role) || extra.to == process.name) add({extra.option});
  }
  return argv;
}

}  // namespace dfs::cli
