// The directory in which a metadata server keeps everything: locked, and
// known to be one of ours before anything is written to it.
//
//   DIR/LOCK        who uses it (common/base/directory_lock.h)
//   DIR/dfs-meta    the marker: that this is a metadata server's directory
//   DIR/db          the metadata store
#pragma once

#include <filesystem>

#include "common/base/directory_lock.h"
#include "common/base/result.h"

namespace dfs {

class DataDirectory {
 public:
  // Makes `path` if it is missing and marks it if it is empty.
  //   busy     another process uses it
  //   invalid  it holds something else; nothing was changed
  static Result<DataDirectory> open(const std::filesystem::path& path);

  std::filesystem::path store() const { return path_ / "db"; }
  // Nothing has been stored yet.
  bool is_new() const;

 private:
  DataDirectory(std::filesystem::path path, DirectoryLock lock)
      : path_(std::move(path)), lock_(std::move(lock)) {}

  std::filesystem::path path_;
  DirectoryLock lock_;
};

}  // namespace dfs
