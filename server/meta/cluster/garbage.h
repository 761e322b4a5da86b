// Chunks that nothing uses any more, on their way out: which ones a storage
// server should delete next, and that it has (table `G`).
//
// A chunk is told to each server of its row until that server says that it is
// gone; the row goes with the last one. Being told twice is harmless. A server
// that has left the group is not waited for: whatever it still has is found when
// its list is compared (server/meta/repair).
//
// Threads: the core's; no locks.
#pragma once

#include <cstddef>
#include <map>
#include <vector>

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/result.h"
#include "server/meta/ops/operation.h"
#include "server/meta/store/transaction.h"

namespace dfs {

// Chunks named in one answer, and rows looked at for it: a few milliseconds.
inline constexpr std::size_t kGarbageChunksMax = 1'024;
inline constexpr std::size_t kGarbageExaminedMax = 4'096;

class GarbageCollector {
 public:
  struct Batch {
    std::vector<ChunkId> chunks;
    bool more = false;  // there is, or may be, more right now
  };

  // `server` has deleted its copies of `chunks`.
  static Result<void> acknowledge(Transaction& txn, Totals& totals, ServerId server,
                                  const std::vector<ChunkId>& chunks);

  // Tells nobody of `chunk` before `until`.
  void hold(ChunkId chunk, SteadyTime until, SteadyTime now);

  // What `server` should delete next. Goes round through the rows of
  // `groups` (ascending; those it is a member of), so that rows which wait
  // for other servers do not hide those behind them.
  Result<Batch> next(Transaction& txn, Totals& totals, const GroupDirectory& directory,
                     ServerId server, const std::vector<GroupId>& groups, SteadyTime now);

 private:
  // Drops from a row who is no member any more. False: nobody is left, and the
  // row is gone.
  static Result<bool> drop_strangers(Transaction& txn, Totals& totals,
                                     const std::vector<ServerId>& members,
                                     const Row<tables::Garbage>& row);

  std::map<ServerId, ChunkId> cursors_;  // where each goes on
  std::map<ChunkId, SteadyTime> held_;   // until when
};

}  // namespace dfs
