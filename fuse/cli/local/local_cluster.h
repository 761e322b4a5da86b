// A metadata server, storage servers and mounts on this machine, run as
// detached processes from one directory.
//
// What runs is found again by cluster_state.h, so every command may be
// repeated, and one that failed leaves nothing half-started: what it had
// started is stopped again.
//
// Threads: one. Ownership: holds DIR's lock while it lives, so two commands
// never change one cluster at the same time.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/base/directory_lock.h"
#include "common/base/result.h"
#include "fuse/cli/local/cluster_state.h"

namespace dfs::cli {

inline constexpr unsigned kLocalServersMax = 64;
inline constexpr unsigned kLocalServersDefault = 3;
inline constexpr unsigned kLocalReplicasDefault = 3;
inline constexpr std::string_view kLocalDirectoryDefault = "/var/lib/dfs-local";

// What the cluster shall consist of. For one that exists, what is absent
// stays as it is.
struct ClusterWishes {
  std::optional<unsigned> servers;
  std::optional<unsigned> replicas;
  std::vector<std::filesystem::path> mounts;
  std::string chunk_size;
  std::string bind;
  std::vector<ExtraOption> extra;
};

class LocalCluster {
 public:
  // Told about each step, one line without a line feed.
  using Say = std::function<void(const std::string&)>;

  // Makes the cluster in `directory`, or adds what `wishes` has more.
  //   invalid  the wishes contradict themselves or the cluster that is there
  //   busy     another command is changing it
  static Result<LocalCluster> create(const std::filesystem::path& directory,
                                     const ClusterWishes& wishes, Say say);
  // `not_found` if there is none.
  static Result<LocalCluster> open(const std::filesystem::path& directory, Say say);

  const ClusterState& state() const { return state_; }

  // Starts what does not run; returns when each of them is ready.
  Result<void> start_all(std::chrono::milliseconds limit);
  // Mounts first, then storage, then metadata. Goes no further when one of
  // them does not stop: it may be writing to those behind it.
  Result<void> stop_all(std::chrono::milliseconds limit);
  // Removes all data. Nothing may run any more.
  Result<void> wipe();

  // `name` may be a mount point too.
  //   not_found  it is neither; the text says which names there are
  Result<void> start(const std::string& name, std::chrono::milliseconds limit);
  Result<void> stop(const std::string& name, std::chrono::milliseconds limit);
  Result<void> kill(const std::string& name);

 private:
  LocalCluster(DirectoryLock lock, ClusterState state, Say say)
      : lock_(std::move(lock)), state_(std::move(state)), say_(std::move(say)) {}

  Result<void> start_these(const std::vector<ClusterProcess*>& wanted,
                           std::chrono::milliseconds limit);
  Result<Launched> launch(ClusterProcess& process);
  Result<void> stop_one(ClusterProcess& process, std::chrono::milliseconds limit);
  Result<ClusterProcess*> named(const std::string& name);
  tl::unexpected<Error> not_started(const ClusterProcess& process, const Error& why) const;

  DirectoryLock lock_;
  ClusterState state_;
  Say say_;
};

}  // namespace dfs::cli
