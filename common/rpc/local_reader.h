// Reads chunk bytes of a storage server on this machine from the file they
// are in, so that they cross no socket (what HDFS calls short-circuit reads).
//
// The server says which bytes of which file; the file system's permissions
// decide whether we may open it. What is read counts only if it matches its
// checksums: the server may have deleted the chunk meanwhile, or another file
// may have that name where we look.
//
// Descriptors are kept for the files used last, at most `files_max`.
//
// Threads: any.
#pragma once

#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/checksum.h"
#include "common/base/executor.h"
#include "common/base/result.h"
#include "common/base/unique_fd.h"
#include "common/rpc/file_place.h"

namespace dfs {

class LocalReader {
 public:
  struct Options {
    std::size_t threads = 4;      // that may wait for a disk at once
    std::size_t queue_max = 256;  // reads that wait for a thread; one more is `overloaded`
    std::size_t files_max = 64;   // descriptors
  };
  explicit LocalReader(const Options& options);
  LocalReader(const LocalReader&) = delete;
  LocalReader& operator=(const LocalReader&) = delete;

  struct Read {
    FilePlace place;
    std::vector<Checksum> checksums;  // one a block
    std::byte* into = nullptr;        // place.length bytes
  };
  enum class Wait {
    no,   // `again` unless the page cache has it all
    yes,  // for the disk
  };
  // Errors: those of open and read; `corrupt`: the bytes are not the ones meant.
  Result<void> read(const Read& read, Wait wait);

  // Calls `work` on a thread that may wait for a disk; `overloaded`.
  Result<void> run(std::function<void()> work);

  std::size_t open_count() const;

 private:
  using File = std::shared_ptr<const UniqueFd>;
  struct Open {
    std::string path;
    File file;
  };
  Result<File> open(const std::string& path);
  void forget(const std::string& path);

  const std::size_t files_max_;
  mutable std::mutex mutex_;  // of the next two
  std::list<Open> recent_;    // the one used last first
  std::unordered_map<std::string, std::list<Open>::iterator> by_path_;

  Executor threads_;
};

}  // namespace dfs
