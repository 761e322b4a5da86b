// Everything the core owns besides its queue: the tables and what it keeps in
// memory about them.
//
// Threads: the core's; no locks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/clock.h"
#include "common/kv/kv_store.h"
#include "server/meta/cluster/cluster.h"
#include "server/meta/core/cluster_row.h"
#include "server/meta/core/disk_room.h"
#include "server/meta/meta_config.h"
#include "server/meta/ops/operation.h"
#include "server/meta/repair/repair.h"
#include "server/meta/sessions/evictions.h"
#include "server/meta/sessions/lease_desk.h"
#include "server/meta/sessions/lock_desk.h"
#include "server/meta/sessions/orphan_queue.h"
#include "server/meta/sessions/session_roll.h"
#include "server/meta/sessions/session_table.h"
#include "server/meta/store/record_cache.h"
#include "server/meta/store/transaction.h"

namespace dfs {

class CoreState {
 public:
  // Makes the cluster if `store` is empty, else reads what is there.
  //   wrong_version  the store has another format
  //   invalid        `config` wants another policy than the cluster has
  //   corrupt, io    the store
  // `store` and `clock` must outlive the state; nobody else writes to `store`.
  static Result<std::unique_ptr<CoreState>> load(const MetaConfig& config, const Clock& clock,
                                                 KvStore& store);
  CoreState(const CoreState&) = delete;
  CoreState& operator=(const CoreState&) = delete;

  // For running an operation of `session` as `caller`.
  OperationContext context(Caller caller, SessionId session);
  // The same for the core's own work on orphans that nobody holds.
  OperationContext purge_context();

  // Adds to `txn` what changed in memory and belongs to its batch.
  void write_memory() { row.write_to(txn); }
  // `batch` is in the log: what changed in memory stays.
  void keep(const KvBatch& batch);
  // There was nothing to commit: what changed in memory alone stays.
  void keep();
  // It is not: memory is as before the batch.
  void undo();

  const MetaConfig& config;
  const Clock& clock;
  const WallNanos started;
  ClusterRow row;
  DiskRoom room;
  OrphanQueue orphans;
  SessionTable sessions;
  SessionRoll roll;  // of `sessions`
  LockDesk locks;  // in memory alone: no batch keeps or undoes it
  LeaseDesk leases;
  Evictions evictions;
  Cluster cluster;
  Repair repair;   // of `cluster`
  RecordCache cache;
  Transaction txn;  // the one that every batch uses

 private:
  CoreState(const MetaConfig& config, const Clock& clock, KvStore& store, ClusterRecord record);
  Result<void> read_tables(const KvStore& store);
  // That this life has begun, before anything is answered in it.
  Result<void> store_life(KvStore& store);
  // The row of an inode is gone.
  void forget(std::string_view inode_key);

  std::vector<InodeId> unfinished_;  // orphans that the batch left to purge
};

}  // namespace dfs
