// One process per data directory.
//
// The lock is a flock on DIR/LOCK, which holds the owner's process id as
// text. It ends with the object, or with the process however it dies; the
// file stays.
#pragma once

#include <filesystem>

#include "common/base/result.h"
#include "common/base/unique_fd.h"

namespace dfs {

class DirectoryLock {
 public:
  // Never waits.
  //   busy       another process (or another lock of this one) has it; the
  //              text names its process id
  //   not_found  the directory does not exist
  static Result<DirectoryLock> acquire(const std::filesystem::path& directory);

 private:
  explicit DirectoryLock(UniqueFd file) : file_(std::move(file)) {}
  UniqueFd file_;
};

}  // namespace dfs
