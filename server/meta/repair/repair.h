// Keeps every chunk on all members of its group: says which copies to make,
// compares lists, moves memberships, and tells people how far it is.
//
// Storage servers ask for work, and do it: they copy from each other, drop
// what is not needed, and list what they have. All decisions are made here,
// of tables (`M` missing copies, `P` groups, `C` and `G` chunks) and of what
// the cluster knows. What is only in memory - how far lists are compared, what
// failed a moment ago - is found anew after a restart.
//
// Threads: the core's; no locks.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/base/metrics.h"
#include "common/rpc/cluster_client.h"
#include "common/rpc/meta_api.h"
#include "server/meta/cluster/cluster.h"
#include "server/meta/core/cluster_row.h"
#include "server/meta/repair/conversion.h"
#include "server/meta/repair/copy_queue.h"
#include "server/meta/repair/copy_rate.h"
#include "server/meta/repair/membership_moves.h"
#include "server/meta/repair/server_lists.h"

namespace dfs {

struct RepairOptions {
  ListOptions lists;
  bool balance = true;
  std::chrono::nanoseconds balance_pause = std::chrono::minutes{1};  // after each move
};

class Repair {
 public:
  // All must outlive the repair.
  Repair(const Clock& clock, Cluster& cluster, ClusterRow& row, const RepairOptions& options);

  // One question of a storage server, and its answer.
  Result<RepairResult> exchange(Transaction& txn, const RepairArgs& args);
  // The batch of its last question was refused, and nobody is answered.
  void refused(ServerId server);

  // What is due from time to time; a few milliseconds. True: there is more.
  Result<bool> look_after(Transaction& txn);
  // The same for what is to be kept in another number of copies. Adds to
  // `changed` the files whose attributes have changed.
  Result<bool> convert(Transaction& txn, const OperationContext& context,
                       std::vector<InodeId>& changed);
  // The batch of either was refused.
  void look_refused() { conversion_.refused(); }

  // A client found the copy of a server bad, or not there.
  Result<void> reported(Transaction& txn, ServerId server, ChunkId chunk);
  // A row of the table `M`, at the start.
  void load(const MissingKey& key);

  RepairStatus status() const;
  void show_counts() const;

 private:
  struct Care {
    ServerLists lists;
    std::uint64_t arrivals = 0;  // of the node, when everything was wanted last
    std::uint64_t unknown = 0;   // chunks that nothing names, in the lists compared since
  };

  Care& care_for(ServerId server, const Node& node);
  Result<void> take_outcome(Transaction& txn, Care& care, const RepairArgs& args);
  std::chrono::milliseconds pause_of(const RepairResult& result, const Care& care) const;
  std::vector<GroupId> in_order(ServerId server, const std::vector<GroupId>& told) const;
  Result<bool> is_filled(Transaction& txn, GroupId group, ServerId server);
  Result<bool> purge_some(Transaction& txn);
  Result<void> give_up_walk(Transaction& txn, const OperationContext& context, const Error& error);
  void compare_dropped(SteadyTime now);
  Result<void> balance(Transaction& txn);
  bool is_calm() const;
  std::string server_state(ServerId server, const Node& node) const;
  std::vector<std::string> notes() const;
  void add_notes_on_restoring(std::vector<std::string>& notes) const;

  const Clock& clock_;
  Cluster& cluster_;
  ClusterRow& row_;
  const RepairOptions options_;
  CopyQueue queue_;
  Conversion conversion_;
  MembershipMoves moves_;
  std::map<ServerId, Care> cares_;
  std::deque<MembershipMoves::Dropped> to_purge_;  // rows `M` of former members
  CopyRate rate_;
  std::uint64_t copied_chunks_ = 0;
  std::uint64_t copied_bytes_ = 0;
  std::uint64_t alive_before_ = 0;  // to notice who comes and goes
  SteadyTime next_look_{};
  // What a former member has is compared, and dropped, once it knows that it is none.
  std::deque<std::pair<SteadyTime, MembershipMoves::Dropped>> to_compare_;
  SteadyTime calm_since_{};         // nothing has been missing or moving

  Counter& copies_made_;
  Counter& bytes_made_;
  Gauge& missing_;
  Gauge& missing_bytes_;
  Gauge& lost_;
  Gauge& moving_;
  Gauge& converting_;
  Gauge& converting_bytes_;
};

}  // namespace dfs
