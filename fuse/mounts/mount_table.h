// What the kernel says is mounted (/proc/self/mountinfo). Touches no file system, so
// that a mount that is dead or hangs holds up nobody.
//
// Threads: any.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace dfs::fuse {

// The type of ours; the part after the dot.
inline constexpr const char* kMountType = "fuse.dfs";

struct MountedHere {
  std::filesystem::path directory;
  std::string type;    // "fuse.dfs"
  std::string source;  // "dfs#127.0.0.1:7300"
  std::string device;  // "0:52", the name under /sys/class/bdi
};

// All that this process can see, in the order in which it was mounted.
std::vector<MountedHere> mounts();

// The topmost mount on `directory`, an absolute path without symbolic links;
// nothing if it is not a mount point.
std::optional<MountedHere> mounted_at(const std::filesystem::path& directory);

// Ends the connection of a FUSE mount whose processes are dead: what waits for an answer
// fails. A thread of them may be in the kernel still, waiting for the lock of a page that
// a request has; it would keep the mount, and everybody who calls sync(2), for ever.
// Root's; does nothing for others.
void cut_off(const MountedHere& mount);

}  // namespace dfs::fuse
