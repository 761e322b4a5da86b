// A mounted dfs: the session with the metadata server, the connections to the
// storage servers, the engine, the mount point and the threads that serve it.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <thread>

#include "common/base/clock.h"
#include "common/base/guarded.h"
#include "common/client/file_system.h"
#include "common/client/write_journal.h"
#include "common/client/write_log.h"
#include "common/rpc/grpc_storage_client.h"
#include "common/rpc/meta_session.h"
#include "fuse/adoption/mount_memory.h"
#include "fuse/mount_options.h"
#include "fuse/mount_point.h"
#include "fuse/session.h"
#include "fuse/stop_signals.h"

namespace dfs::fuse {

// Where and how to mount at `directory`, which comes from MountPoint::prepare().
MountPoint::Options place_of(const MountOptions& options, const std::filesystem::path& directory);

class MountService {
 public:
  // Connects, mounts by `mount` and returns when the mount answers. On error nothing
  // is left mounted. If `memory` has a former process, it goes on where that was,
  // and waits for the servers as long as it takes. `memory`, `stop` and `journal`, if
  // there is one, must outlive the service.
  using Mount = std::function<Result<MountPoint>()>;
  static Result<std::unique_ptr<MountService>> start(const MountOptions& options,
                                                     const Mount& mount, MountMemory& memory,
                                                     WriteJournal* journal, StopSignals& stop);
  ~MountService();
  MountService(const MountService&) = delete;
  MountService& operator=(const MountService&) = delete;

  // Serves until `stop` says so or somebody unmounts; writes everything back
  // and unmounts. An error means that something written may be lost.
  Result<void> serve();

  // Another process could go on in place of this one.
  bool can_be_replaced() const { return session_->facts().can_resend; }

 private:
  MountService(MountMemory& memory, WriteJournal* journal, StopSignals& stop)
      : memory_(memory), journal_(journal), stop_(stop) {}

  Result<void> connect(const MountOptions& options);
  Result<std::unique_ptr<MetaSession>> connect_to_meta(const MountOptions& options);
  // write_log_setup.cc: what waits in it is on the servers when it returns.
  Result<void> open_log(const MountOptions& options);
  Result<void> send_former(const MountOptions& options);
  Result<void> attach(const MountOptions& options, const Mount& mount);
  // From here on the session may be granted leases, and hears of them.
  void listen_to_session();
  Result<void> begin(const MountOptions& options);
  Result<void> catch_up();
  static CallContext context(Interrupt& interrupt);
  // Everything written is on the servers when it returns. The second signal
  // ends the wait; the error says what may be lost.
  Result<void> write_back();
  // And survives power loss, unless the metadata server does not answer soon.
  void make_stable();

  // The engine, for the hooks of a metadata session that outlives it; null
  // once it is gone. A hook runs under the lock: it does not wait.
  using EngineForHooks = std::shared_ptr<Guarded<FileSystem*>>;

  static LeaseHooks hooks_of_leases(const EngineForHooks& hooks);

  // Ended in the opposite order.
  MountMemory& memory_;
  WriteJournal* const journal_;
  StopSignals& stop_;
  EngineForHooks engine_for_hooks_ = std::make_shared<Guarded<FileSystem*>>(nullptr);
  std::unique_ptr<WriteLog> log_;  // null without one
  std::unique_ptr<MetaSession> meta_;
  std::unique_ptr<StoragePool> storage_;
  std::unique_ptr<FileSystem> files_;
  std::optional<MountPoint> point_;
  std::unique_ptr<Session> session_;
  std::thread watcher_;  // tells `stop_` when the file system was unmounted
};

}  // namespace dfs::fuse
