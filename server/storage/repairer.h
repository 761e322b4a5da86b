// Does what the metadata server says about this server's copies: makes them,
// drops those that are not needed, lists what is there. proto/dfs/v1/cluster.proto
// says what passes between the two; all decisions are the metadata server's.
//
// One step() after another; between them the caller waits as long as step()
// says. A step copies at most some megabytes, so that it can be paced and
// stopped.
//
// Threads: step() one at a time; learn() any.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "common/base/clock.h"
#include "common/base/guarded.h"
#include "common/base/metrics.h"
#include "common/rpc/cluster_client.h"
#include "common/rpc/storage_client.h"
#include "server/storage/chunk_copier.h"
#include "server/storage/copy_pace.h"
#include "server/storage/membership.h"
#include "server/storage/store_set.h"

namespace dfs::storage {

class Repairer {
 public:
  struct Parts {
    ClusterClient& meta;
    StoreSet& stores;
    StoragePool& servers;
    const Clock& clock;
    std::function<std::optional<Membership>()> membership;  // nothing: not registered yet
    std::function<GroupTablePtr()> table;                   // null: not known yet
    std::function<std::vector<ChunkId>()> damaged;          // what was found to be since
  };
  // What is referred to must outlive this.
  Repairer(Parts parts, std::uint64_t bytes_per_second);

  // Does what is due; returns how long to wait before the next step.
  std::chrono::milliseconds step();

 private:
  std::chrono::milliseconds copy_some(const Membership& self, const GroupTable& table);
  std::chrono::milliseconds ask(const Membership& self, const GroupTable& table);
  void take(RepairResult&& result, const Membership& self, const GroupTable& table);
  void drop(const std::vector<ChunkId>& chunks, const Membership& self, const GroupTable& table);
  void erase(const std::vector<ChunkId>& chunks);

  const Parts parts_;
  ChunkCopier copier_;
  CopyPace pace_;
  std::deque<CopyTask> tasks_;
  // To be told with the next question.
  RepairArgs told_;
  bool trouble_ = false;  // logged

  Counter& copies_;
  Counter& bytes_;
  Counter& failures_;
  Counter& dropped_;
};

}  // namespace dfs::storage
