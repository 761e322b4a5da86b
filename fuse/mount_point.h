// A directory with our file system on it. Mounted while the object lives.
//
// Root mounts with mount(2); anybody else through the set-uid helper
// fusermount3.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "common/base/result.h"
#include "common/base/unique_fd.h"

namespace dfs::fuse {

class MountPoint {
 public:
  enum class Method { system_call, helper };
  struct Options {
    std::filesystem::path directory;
    std::string source;
    unsigned long flags = 0;  // MS_RDONLY, MS_NOSUID, ... as for mount(2)
    bool allow_other = true;
    Method method = Method::system_call;
  };

  // system_call for root, helper for others.
  static Method default_method();

  // Resolves `directory` and checks that something can be mounted there; a
  // dead mount of ours (its process is gone) is taken away first. Before
  // anything else is started, so that a mistake costs nothing. Errors, each
  // one line that names the directory:
  //   not_found, not_directory, busy (a dfs mount already), access,
  //   stale (the dead mount of another file system)
  static Result<std::filesystem::path> prepare(const std::filesystem::path& directory);

  // Mounts. `directory` comes from prepare(). Requests queue up until somebody
  // reads device().
  static Result<MountPoint> mount(const Options& options);

  // What another process has mounted, whose `device` it handed over.
  static MountPoint adopt(const Options& options, UniqueFd device) {
    return MountPoint(options, std::move(device));
  }

  MountPoint(MountPoint&& other) noexcept;
  MountPoint& operator=(MountPoint&&) = delete;
  ~MountPoint();

  // The connection; to be taken once.
  UniqueFd take_device() { return std::move(device_); }
  const std::filesystem::path& directory() const { return options_.directory; }

  // The kernel's read-ahead for files here, through /sys/class/bdi. A request
  // must have been answered before: INIT, when it is, sets its own.
  Result<void> set_read_ahead(std::uint64_t bytes);

  // Ends the mount, the polite way first. Files that are still open keep the
  // connection up (`still_in_use`), but the directory is free at once.
  // Somebody must be serving requests, or the connection must be cut. Idempotent.
  enum class Left { nothing, still_in_use };
  Left unmount();
  // It is gone already (somebody else unmounted it).
  void forget() { mounted_ = false; }

 private:
  MountPoint(Options options, UniqueFd device);

  Options options_;
  UniqueFd device_;
  bool mounted_ = true;
};

}  // namespace dfs::fuse
