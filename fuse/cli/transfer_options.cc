#include "fuse/cli/transfer_options.h"

#include <CLI/CLI.hpp>

namespace dfs::cli {

void add_transfer_options(CLI::App& command, TransferOptions& options, const std::string& paths) {
  command.add_option("PATHS", options.paths, paths)->required()->expected(2, -1);
  command.add_flag("-r,--recursive", options.recursive, "Copy directories with all that is in them");
  command.add_flag("-p,--preserve", options.preserve, "Keep times and modes, and as root owners");
  command.add_option("-j,--jobs", options.jobs, "Files copied at once")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  add_connect_options(command, options.connect);
}

}  // namespace dfs::cli
