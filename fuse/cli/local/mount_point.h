// Taking away what a dead process left mounted.
#pragma once

#include <filesystem>

#include "common/base/result.h"

namespace dfs::cli {

// Detaches a FUSE mount that no process serves any more; nothing if there is none.
//   busy  something else is mounted there
Result<void> detach_dead_mount(const std::filesystem::path& place);

}  // namespace dfs::cli
