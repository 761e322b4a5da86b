// The one row "cluster": counters and totals that many operations change,
// kept in memory and written at most once a batch.
//
// Threads: the core's; no locks.
#pragma once

#include "server/meta/ops/operation.h"
#include "server/meta/store/records.h"
#include "server/meta/store/transaction.h"

namespace dfs {

class ClusterRow final : public IdSource {
 public:
  explicit ClusterRow(ClusterRecord stored)
      : record_(std::move(stored)), stored_(record_), totals_(totals_of(record_)) {}
  // A server begins to serve what is stored. Numbers made of record().starts never
  // come again, and names of inodes and sessions that power loss took with their
  // batches, but which clients go on with, are not given again; nor are versions of
  // the group table: to be stored, and stable, before anything is answered.
  void begin_life();

  const ClusterRecord& record() const { return record_; }
  Totals& totals() { return totals_; }
  const Totals& totals() const { return totals_; }
  Policy default_policy() const { return {record_.replicas, record_.chunk_size}; }

  InodeName next_inode() override;
  ServerId next_server();
  GroupId next_group();
  SessionId next_session();
  void bump_group_table_version();
  // No id below those of `least` is given any more.
  void raise_ids(const ClusterRecord& least);

  // Adds the row to `txn` if it changed since it was last stored.
  void write_to(Transaction& txn);
  // The batch that write_to() added to is in the log.
  void keep();
  // It is not: back to what is stored. Inode names and versions are not given twice
  // even so, because nobody knows how far a failed write has got.
  void undo();

 private:
  static Totals totals_of(const ClusterRecord& record) {
    return {.inodes = record.inodes,
            .chunks = record.chunks,
            .chunk_bytes = record.chunk_bytes,
            .missing = record.missing,
            .missing_bytes = record.missing_bytes,
            .garbage = record.garbage,
            .walks = record.walks,
            .conversions = record.conversions,
            .conversion_bytes = record.conversion_bytes};
  }

  ClusterRecord record_;
  ClusterRecord stored_;
  Totals totals_;
  bool changed_ = false;  // of record_, totals aside
};

}  // namespace dfs
