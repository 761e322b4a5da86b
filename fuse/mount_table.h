// What the kernel says is mounted (/proc/self/mountinfo).
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace dfs::fuse {

struct MountedHere {
  std::string type;      // "fuse.dfs"
  std::string source;    // "dfs#127.0.0.1:7300"
  std::string device;    // "0:52", the name under /sys/class/bdi
};

// The topmost mount on `directory`, an absolute path without symbolic links;
// nothing if it is not a mount point.
std::optional<MountedHere> mounted_at(const std::filesystem::path& directory);

}  // namespace dfs::fuse
