// The command line of dfs-mount, in both forms it is called in.
#pragma once

#include <variant>

#include "fuse/mount_options.h"

namespace dfs::fuse {

// The options, read and checked; or the status to exit with now: help and
// version have been printed then, or one line about what is wrong.
std::variant<MountOptions, int> parse_command_line(int argc, char** argv);

}  // namespace dfs::fuse
