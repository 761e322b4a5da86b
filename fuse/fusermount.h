// fusermount3, the set-uid helper through which people who are not root mount.
#pragma once

#include <filesystem>
#include <string>

#include "common/base/result.h"
#include "common/base/unique_fd.h"

namespace dfs::fuse {

// Runs `fusermount3 -o OPTIONS -- DIRECTORY` and returns the open /dev/fuse it
// hands over. The error holds the helper's own words.
Result<UniqueFd> fusermount(const std::filesystem::path& directory, const std::string& options);

// Runs `fusermount3 -u [-z] -- DIRECTORY`.
enum class Unmount { now, when_unused };
Result<void> fuserumount(const std::filesystem::path& directory, Unmount how);

}  // namespace dfs::fuse
