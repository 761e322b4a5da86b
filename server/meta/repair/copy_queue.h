// Which copies a storage server should get next (table `M`), and what became
// of those it was told to get.
//
// The most endangered come first: groups with the fewest live members, and
// within a group, of some hundred rows looked at, the chunks with the fewest
// copies. What failed waits a while, so that it does not keep others back.
//
// A row outlives its reason at times: it is dropped when its chunk is not in
// use any more, or its server is no member any more.
//
// Threads: the core's; no locks.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "common/base/clock.h"
#include "common/rpc/cluster_client.h"
#include "server/meta/cluster/cluster.h"
#include "server/meta/repair/lost_chunks.h"

namespace dfs {

class CopyQueue {
 public:
  // What one answer says at most; a server is through with it in seconds.
  static constexpr std::size_t kTasksMax = 256;
  static constexpr std::uint64_t kBytesMax = 256 * MiB;

  // `clock` and `cluster` must outlive the queue.
  CopyQueue(const Clock& clock, const Cluster& cluster) : clock_(clock), cluster_(cluster) {}

  Result<std::vector<CopyTask>> next(Transaction& txn, Totals& totals, ServerId server);
  // `server` has a good copy now.
  Result<void> copied(Transaction& txn, Totals& totals, ServerId server, ChunkId chunk);
  void failed(ServerId server, const CopyFailure& failure);
  // Servers have come or gone: what failed may go well now.
  void try_again() { deferred_.clear(); }

  const LostChunks& lost() const { return lost_; }
  // Copies that could not be made lately.
  std::size_t deferred() const;

 private:
  struct Row {
    ChunkId chunk;
    MissingRecord record;
    std::size_t copies = 0;  // on live members
  };
  std::vector<GroupId> groups_of(ServerId server) const;
  Result<std::vector<Row>> look_at(Transaction& txn, Totals& totals, ServerId server,
                                   GroupId group);
  Result<std::size_t> live_copies(Transaction& txn, ServerId server, ChunkId chunk) const;
  bool is_deferred(const MissingKey& key) const;

  const Clock& clock_;
  const Cluster& cluster_;
  std::map<MissingKey, SteadyTime> deferred_;  // until when
  LostChunks lost_;
};

}  // namespace dfs
