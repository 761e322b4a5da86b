// What `dfs put` and `dfs get` are told.
#pragma once

#include <string>
#include <vector>

#include "fuse/cli/connection.h"

namespace dfs::cli {

struct TransferOptions {
  ConnectOptions connect;
  std::vector<std::string> paths;  // sources, then the target
  bool recursive = false;
  bool preserve = false;
  unsigned jobs = 8;
};

// All of them; `paths` says what the paths are. `options` must outlive the parsing.
void add_transfer_options(CLI::App& command, TransferOptions& options, const std::string& paths);

}  // namespace dfs::cli
