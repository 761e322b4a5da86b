// What the streams of one storage server work with. Everything named here
// outlives them.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>

#include "common/base/clock.h"
#include "common/base/executor.h"
#include "common/base/guarded.h"
#include "common/base/ids.h"
#include "common/rpc/live_sessions.h"
#include "common/rpc/types.h"
#include "server/storage/byte_budget.h"
#include "server/storage/replicator.h"
#include "server/storage/storage_config.h"
#include "server/storage/storage_metrics.h"
#include "server/storage/store_set.h"

namespace dfs::storage {

// The newest epoch of each group, as the metadata server told. Threads: any.
class GroupEpochs {
 public:
  void learn(const GroupTable& table) {
    epochs_.with([&](auto& epochs) {
      for (const auto& [id, group] : table.groups) {
        Epoch& epoch = epochs[id];
        epoch = std::max(epoch, group.epoch);
      }
    });
  }
  // `stale_epoch` if a newer one is known.
  Result<void> check(GroupId group, Epoch epoch) const;

 private:
  Guarded<std::map<GroupId, Epoch>> epochs_;
};

// Which sessions may store chunks: all that have not ended, as the metadata
// server told last. Threads: any.
class SessionFence {
 public:
  void learn(LiveSessionsPtr sessions) {
    sessions_.with([&](auto& known) { known = std::move(sessions); });
  }
  // `session_lost` if it has ended; 0, which is nobody, may always.
  Result<void> check(SessionId session) const;

 private:
  Guarded<LiveSessionsPtr> sessions_;  // null: nothing was told
};

struct ServiceContext {
  const StorageConfig& config;
  const Clock& clock;
  StoreSet& stores;
  Executor& disk;           // runs whatever may wait for a disk
  Replicator& replicator;
  std::shared_ptr<ByteBudget> received;  // from senders, not yet written and forwarded
  std::shared_ptr<ByteBudget> sending;   // read, not yet sent to readers
  GroupEpochs& epochs;
  SessionFence& sessions;
  StorageMetrics& metrics;
};

}  // namespace dfs::storage
