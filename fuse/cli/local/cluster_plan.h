// Which processes a local cluster consists of, and how each is started.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "fuse/cli/local/cluster_state.h"
#include "fuse/cli/local/local_cluster.h"

namespace dfs::cli {

// `directory` as an absolute path without links, existing or not. Looks at
// its parent only, so a dead mount there does no harm.
Result<std::filesystem::path> settled_path(const std::filesystem::path& path);

// A new cluster: names, places and free ports for everything wished.
Result<ClusterState> plan_cluster(const std::filesystem::path& directory, const ClusterWishes& wishes);

// Adds what `wishes` has more than `state`.
//   invalid  something would have to become less, or other
Result<void> extend_plan(ClusterState& state, const ClusterWishes& wishes);

// The program of that name that lies beside this one. `not_found` if it does not.
Result<std::string> program_path(const std::string& name);

// The command line that starts `process` alone, with the programs that lie
// beside this one.
//   not_found  they do not
Result<std::vector<std::string>> command_line(const ClusterState& state,
                                              const ClusterProcess& process);

}  // namespace dfs::cli
