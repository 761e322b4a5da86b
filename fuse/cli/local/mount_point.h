// What is mounted at a place, and taking away what a dead process left there.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "common/base/result.h"

namespace dfs::cli {

struct MountedHere {
  std::string type;    // "fuse.dfs"
  std::string source;
};

// What /proc/self/mountinfo says about exactly this directory; the topmost
// mount. Touches no file system, so a dead or hanging mount cannot block it.
std::optional<MountedHere> mounted_at(const std::filesystem::path& place);

// Detaches a FUSE mount that no process serves any more; nothing if there is none.
//   busy  something else is mounted there
Result<void> detach_dead_mount(const std::filesystem::path& place);

}  // namespace dfs::cli
