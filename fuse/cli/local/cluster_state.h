// What a local cluster consists of, kept in DIR/cluster.json.
//
//   DIR/cluster.json   this
//   DIR/LOCK           held by the command that is changing the cluster
//   DIR/meta, DIR/storage1 ...   data directories
//   DIR/log/NAME.log   each program's log; NAME.out what it printed
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "common/base/result.h"
#include "fuse/cli/local/process.h"

namespace dfs::cli {

// In the order in which they start.
enum class Role { meta, storage, mount };
std::string_view name_of(Role role);

struct ClusterProcess {
  std::string name;             // meta, storage1.., mount1..
  Role role = Role::meta;
  std::string address;          // host:port; a mount has none
  std::filesystem::path place;  // data directory, or mount point
  bool made_mount_point = false;  // so --wipe may remove it
  std::vector<std::string> argv;  // starts it alone, in the foreground
  ProcessIdentity process;        // of the last start
};

// `option` is handed to one process, or to all of a role.
struct ExtraOption {
  std::string to;  // "storage", "storage2", "mount", ...
  std::string option;
};

struct ClusterState {
  std::filesystem::path directory;  // absolute
  std::string bind;                 // host every port is on
  unsigned replicas = 0;
  std::string chunk_size;           // as given; empty: the server's default
  std::vector<ExtraOption> extra;
  std::vector<ClusterProcess> processes;  // by role, then number

  const ClusterProcess* find(std::string_view name) const;
  ClusterProcess* find(std::string_view name);
  unsigned count(Role role) const;
  // Of the one metadata server.
  const std::string& meta_address() const;

  std::filesystem::path log_file(const ClusterProcess& process) const;
  std::filesystem::path output_file(const ClusterProcess& process) const;
};

// The file that makes a directory one of ours.
std::filesystem::path state_file(const std::filesystem::path& directory);

// `not_found` if there is no cluster; `corrupt` if the file is not one of ours.
Result<ClusterState> load_cluster(const std::filesystem::path& directory);
// Replaces the file in one step.
Result<void> save_cluster(const ClusterState& state);

// What `dfs local status --json` prints.
nlohmann::json describe(const ClusterState& state);

}  // namespace dfs::cli
