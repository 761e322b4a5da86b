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

  // The same of one in which a server has stored something; makes nothing.
  //   not_found  there is none
  static Result<DataDirectory> open_existing(const std::filesystem::path& path);

  std::filesystem::path store() const;
  // Nothing has been stored yet.
  bool is_new() const;

 private:
  DataDirectory(std::filesystem::path path, DirectoryLock lock)
      : path_(std::move(path)), lock_(std::move(lock)) {}

  std::filesystem::path path_;
  DirectoryLock lock_;
};

// A data directory that is filled before anybody may start on it.
class NewDataDirectory {
 public:
  // Makes `path` if it is missing. What an interrupted filling left is removed.
  //   not_empty  there is something else in it; nothing was changed
  //   busy       another process fills it
  static Result<NewDataDirectory> begin(const std::filesystem::path& path);

  std::filesystem::path store() const;
  // The store, which must be closed, becomes that of a metadata server; on
  // stable media afterwards.
  Result<void> finish();

 private:
  NewDataDirectory(std::filesystem::path path, DirectoryLock lock)
      : path_(std::move(path)), lock_(std::move(lock)) {}

  std::filesystem::path path_;
  DirectoryLock lock_;
};

}  // namespace dfs
