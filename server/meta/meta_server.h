// A whole metadata server: data directory, store, log, core, doors; started
// and stopped in order.
#pragma once

#include <memory>
#include <string>

#include "common/base/clock.h"
#include "common/base/executor.h"
#include "common/base/result.h"
#include "common/kv/kv_store.h"
#include "common/rpc/stream_server.h"
#include "server/meta/backup_service.h"
#include "server/meta/core/core.h"
#include "server/meta/data_directory.h"
#include "server/meta/fsck/core_mender.h"
#include "server/meta/fsck/desk.h"
#include "server/meta/log/meta_log.h"
#include "server/meta/meta_config.h"

namespace dfs {

// Threads: started and stopped by one; serves on its own.
class MetaServer {
 public:
  // Can be talked to when this returns.
  //   invalid        a setting; a directory that is not ours
  //   busy           the data directory or the port is in use
  //   wrong_version  the data has another format
  //   corrupt, io    the data
  static Result<std::unique_ptr<MetaServer>> start(MetaConfig config);
  // Stops.
  ~MetaServer();
  MetaServer(const MetaServer&) = delete;
  MetaServer& operator=(const MetaServer&) = delete;

  // Ends the streams, then makes everything stable. Idempotent.
  void stop();

  // HOST:PORT as bound.
  const std::string& address() const { return server_->address(); }

 private:
  MetaServer(MetaConfig config, DataDirectory directory)
      : config_(std::move(config)), directory_(std::move(directory)) {}

  // In the order in which they are needed; destroyed in reverse.
  const MetaConfig config_;
  const DataDirectory directory_;
  std::unique_ptr<KvStore> store_;
  std::unique_ptr<MetaLog> log_;
  std::unique_ptr<Core> core_;
  std::unique_ptr<BackupService> backups_;
  std::unique_ptr<fsck::CoreMender> mender_;
  std::unique_ptr<fsck::Desk> checks_;
  std::unique_ptr<Executor> check_calls_;
  std::unique_ptr<StreamServer> server_;
};

}  // namespace dfs
