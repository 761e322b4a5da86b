// Where the steps of `dfs local` are told.
#pragma once

#include "fuse/cli/local/local_cluster.h"

namespace dfs::cli {

// To stdout as lines; to stderr when stdout is for JSON.
LocalCluster::Say say_to_people(bool stdout_is_json);

}  // namespace dfs::cli
