#include "fuse/cli/local/cluster_state.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "common/base/unique_fd.h"

namespace dfs::cli {

namespace {

constexpr std::string_view kKind = "dfs local cluster";
constexpr int kFormat = 1;

std::optional<Role> parse_role(std::string_view text) {
  for (const Role role : {Role::meta, Role::storage, Role::mount}) {
    if (name_of(role) == text) return role;
  }
  return std::nullopt;
}

nlohmann::json to_json(const ClusterProcess& process) {
  return {{"name", process.name},
          {"role", name_of(process.role)},
          {"address", process.address},
          {"place", process.place.string()},
          {"made_mount_point", process.made_mount_point},
          {"argv", process.argv},
          {"pid", process.process.pid},
          {"start_ticks", process.process.start_ticks},
          {"boot", process.process.boot}};
}

// Throws nlohmann's exceptions; load_cluster() turns them into an Error.
Result<ClusterProcess> process_from(const nlohmann::json& json) {
  ClusterProcess process;
  const auto role = parse_role(json.at("role").get<std::string>());
  if (!role) return fail(Errc::corrupt, "unknown role " + json.at("role").get<std::string>());
  process.role = *role;
  process.name = json.at("name").get<std::string>();
  process.address = json.at("address").get<std::string>();
  process.place = json.at("place").get<std::string>();
  process.made_mount_point = json.at("made_mount_point").get<bool>();
  process.argv = json.at("argv").get<std::vector<std::string>>();
  process.process.pid = json.at("pid").get<pid_t>();
  process.process.start_ticks = json.at("start_ticks").get<std::uint64_t>();
  process.process.boot = json.at("boot").get<std::string>();
  return process;
}

Result<ClusterState> state_from(const nlohmann::json& json) {
  if (json.at("kind").get<std::string>() != kKind) return fail(Errc::corrupt, "it is of another kind");
  if (const int format = json.at("format").get<int>(); format != kFormat)
    return fail(Errc::wrong_version, fmt::format("format {} is not known here", format));
  ClusterState state;
  state.bind = json.at("bind").get<std::string>();
  state.replicas = json.at("replicas").get<unsigned>();
  state.chunk_size = json.at("chunk_size").get<std::string>();
  for (const auto& extra : json.at("extra"))
    state.extra.push_back({extra.at("to").get<std::string>(), extra.at("option").get<std::string>()});
  for (const auto& entry : json.at("processes")) {
    ClusterProcess process = TRY(process_from(entry));
    state.processes.push_back(std::move(process));
  }
  if (state.count(Role::meta) != 1) return fail(Errc::corrupt, "it names no metadata server");
  return state;
}

Result<void> write_synced(const std::filesystem::path& path, std::string_view text) {
  constexpr mode_t kMode = 0644;
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, kMode));
  if (!file) return fail_errno(errno, "open " + path.string());
  while (!text.empty()) {
    const ssize_t count = ::write(file.get(), text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, "write " + path.string());
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  if (::fsync(file.get()) != 0) return fail_errno(errno, "fsync " + path.string());
  return {};
}

}  // namespace

std::string_view name_of(Role role) {
  switch (role) {
    case Role::meta: return "meta";
    case Role::storage: return "storage";
    case Role::mount: return "mount";
  }
  return "unknown";
}

const ClusterProcess* ClusterState::find(std::string_view name) const {
  const auto found = std::ranges::find(processes, name, &ClusterProcess::name);
  return found == processes.end() ? nullptr : &*found;
}

ClusterProcess* ClusterState::find(std::string_view name) {
  const auto found = std::ranges::find(processes, name, &ClusterProcess::name);
  return found == processes.end() ? nullptr : &*found;
}

unsigned ClusterState::count(Role role) const {
  return static_cast<unsigned>(std::ranges::count(processes, role, &ClusterProcess::role));
}

const std::string& ClusterState::meta_address() const {
  const auto found = std::ranges::find(processes, Role::meta, &ClusterProcess::role);
  invariant(found != processes.end(), "a cluster has a metadata server");
  return found->address;
}

std::filesystem::path ClusterState::log_file(const ClusterProcess& process) const {
  return directory / "log" / (process.name + ".log");
}

std::filesystem::path ClusterState::output_file(const ClusterProcess& process) const {
  return directory / "log" / (process.name + ".out");
}

std::filesystem::path state_file(const std::filesystem::path& directory) {
  return directory / "cluster.json";
}

Result<ClusterState> load_cluster(const std::filesystem::path& directory) {
  const std::filesystem::path path = state_file(directory);
  std::ifstream file(path);
  if (!file) {
    if (errno != ENOENT && errno != ENOTDIR) return fail_errno(errno, "open " + path.string());
    return fail(Errc::not_found, "there is no local cluster in " + directory.string());
  }
  try {
    auto state = state_from(nlohmann::json::parse(file));
    if (!state)
      return fail(state.error().code, fmt::format("{}: {}", path.string(), state.error().text));
    state->directory = directory;
    return state;
  } catch (const nlohmann::json::exception& problem) {
    return fail(Errc::corrupt, fmt::format("{} is not a local cluster's: {}", path.string(), problem.what()));
  }
}

Result<void> save_cluster(const ClusterState& state) {
  nlohmann::json extra = nlohmann::json::array();
  for (const ExtraOption& option : state.extra)
    extra.push_back({{"to", option.to}, {"option", option.option}});
  nlohmann::json processes = nlohmann::json::array();
  for (const ClusterProcess& process : state.processes) processes.push_back(to_json(process));
  const nlohmann::json json = {{"kind", kKind},
                               {"format", kFormat},
                               {"bind", state.bind},
                               {"replicas", state.replicas},
                               {"chunk_size", state.chunk_size},
                               {"extra", std::move(extra)},
                               {"processes", std::move(processes)}};

  const std::filesystem::path path = state_file(state.directory);
  const std::filesystem::path fresh = path.string() + ".new";
  TRY(write_synced(fresh, json.dump(2) + "\n"));
  if (::rename(fresh.c_str(), path.c_str()) != 0) return fail_errno(errno, "rename " + fresh.string());
  return {};
}

nlohmann::json describe(const ClusterState& state) {
  nlohmann::json processes = nlohmann::json::array();
  for (const ClusterProcess& process : state.processes) {
    nlohmann::json entry = {{"name", process.name},
                            {"role", name_of(process.role)},
                            {"alive", is_alive(process.process)},
                            {"pid", process.process.pid},
                            {"command", shell_quoted(process.argv)},
                            {"argv", process.argv},
                            {"log", state.log_file(process).string()}};
    if (process.role == Role::mount) {
      entry["mount_point"] = process.place.string();
    } else {
      entry["address"] = process.address;
      entry["data"] = process.place.string();
    }
    processes.push_back(std::move(entry));
  }
  return {{"directory", state.directory.string()},
          {"meta", state.meta_address()},
          {"replicas", state.replicas},
          {"processes", std::move(processes)}};
}

}  // namespace dfs::cli
