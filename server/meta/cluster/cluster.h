// The storage servers and replica groups of the cluster: who may join, who is
// alive, where new chunks go, what is to be deleted.
//
// Decisions are placement.h's; this keeps their facts. Durable rows (`N`, `P`,
// `G`) change through the transaction that is handed in. Changes in memory
// that belong to the batch are kept by keep() or taken back by undo(), as the
// batch is; what heartbeats say of liveness and space holds regardless.
//
// Threads: the core's; no locks. table() may be handed to any thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/rpc/cluster_client.h"
#include "common/rpc/types.h"
#include "server/meta/cluster/garbage.h"
#include "server/meta/cluster/node_table.h"
#include "server/meta/cluster/placement.h"
#include "server/meta/core/cluster_row.h"
#include "server/meta/ops/operation.h"
#include "server/meta/store/transaction.h"

namespace dfs {

struct ClusterOptions {
  NodeTableOptions nodes;
  std::chrono::milliseconds heartbeat_interval{3'000};
  std::size_t servers_max = 1'024;
  // A chunk that no file names so long after its id was given is given up.
  std::chrono::nanoseconds late_commit_max = std::chrono::hours{24};
};

// What of a server's labels placement looks at.
PlacementServer placement_server(const ServerInfo& info);

class Cluster final : public GroupDirectory {
 public:
  // `clock` and `row` must outlive the cluster.
  Cluster(const Clock& clock, ClusterRow& row, ClusterOptions options);

  // What a former process left, at the start.
  void load(ServerId server, ServerRecord record);
  void load(GroupId group, GroupRecord record);
  void loaded();  // everything is

  // A storage server comes, for the first time or again; groups that can be
  // made now are made.
  //   wrong_cluster  it belongs to another one, or has an id that this one never gave
  //   not_permitted  its id belongs to another identity
  //   invalid        the address or another text is of no use
  //   overloaded     there are as many servers as the settings allow
  Result<ServerId> register_server(Transaction& txn, const RegisterArgs& args);
  // The answer lacks the group table.
  Result<HeartbeatResult> heartbeat(Transaction& txn, const HeartbeatArgs& args);
  // Declares dead who has been silent for too long.
  void expire();

  // Rights to create `args.count` chunks under `policy`.
  //   unavailable  not enough servers are registered or alive; says how many
  //   no_space     all that are alive are full
  // An error leaves no chunk taken; groups that were made on the way are
  // valid, so the operation is not to be undone for it.
  Result<AllocateResult> allocate(Transaction& txn, const Policy& policy,
                                  const AllocateArgs& args);

  // Bytes of all servers divided by `replicas`; `inodes_used` is left alone.
  StatFsResult space(std::uint32_t replicas) const;

  void keep();
  void undo();

  // The table as last kept; its version grows with every change.
  const GroupTablePtr& table() const { return published_; }
  // The same with the space that servers told since.
  GroupTable current() const;
  const NodeTable& nodes() const { return nodes_; }
  // What a server says is wrong with it, for people.
  const std::vector<std::string>& problems_of(ServerId server) const;
  std::chrono::milliseconds heartbeat_interval() const { return options_.heartbeat_interval; }

  bool knows(GroupId group) const override { return groups_.contains(group); }
  std::vector<ServerId> members_of(GroupId group) const override;
  std::vector<ServerId> late_members_of(GroupId group) const override;
  std::uint32_t replicas_of(GroupId group) const override;
  std::uint64_t given_up_below(GroupId group) const override;

  // A chunk that is garbage now and that power loss could make needed again: no
  // server is told of it before the batch is surely on stable media.
  void hold_garbage(ChunkId chunk);

  // --- memberships -----------------------------------------------------------------

  // What is kept of a row in memory; the next chunk is the row's alone.
  struct KnownGroup {
    Group group;
    std::uint32_t replicas = 0;
    std::uint64_t given_up_below = 0;
  };
  const std::map<GroupId, KnownGroup>& groups() const { return groups_; }
  // The member, or null.
  const GroupMember* member(GroupId group, ServerId server) const;
  // The table version from which on those who upload know of a member; 0: ever.
  std::uint64_t member_since(GroupId group, ServerId server) const;
  std::uint64_t table_version() const { return row_.record().group_table_version; }

  // `members` from now on, in a new epoch. `group` must be known.
  Result<void> set_members(Transaction& txn, GroupId group, std::vector<GroupMember> members);
  // In how many groups each server is, without those that it leaves.
  using Memberships = std::map<ServerId, std::uint32_t>;
  Memberships memberships() const;
  // Who could take a place in `group`, whose members that stay are `staying`.
  std::optional<ServerId> replacement(GroupId group, const std::vector<ServerId>& staying,
                                      const Memberships& memberships) const;
  //   not_found  there is no such server
  Result<void> set_draining(Transaction& txn, ServerId server, bool draining);

  // Ids of `group` that were given long enough ago to be given up, if no file
  // names them: all below the result.
  std::uint64_t ripe_below(GroupId group) const;
  // Gives them up, for good: afterwards given_up_below() == ripe_below().
  Result<void> give_up_ripe(Transaction& txn, GroupId group);
  // From time to time: lets ids become ripe.
  Result<void> ripen(Transaction& txn);
  // Metadata made anew (a restored backup): chunks that nothing names may be
  // the only copy of what is newer. None becomes ripe, lists are compared at once.
  bool keeps_unknown() const { return clock_.wall() < row_.record().keep_unknown_until; }

 private:
  struct PendingServer {
    ServerInfo info;
    std::string identity;
  };

  Result<ServerId> id_for(const RegisterArgs& args) const;  // 0: a new one
  void make_groups(Transaction& txn, std::uint32_t replicas);
  std::vector<PlacementServer> placement_servers() const;
  std::vector<GroupFacts> facts(std::uint32_t replicas, const AllocateArgs& args) const;
  Error too_few_servers(std::uint32_t replicas) const;
  WallNanos ids_expire() const;
  // To be called before its first change in a batch.
  KnownGroup& change(GroupId group);
  void table_changed();
  void note_problems(const HeartbeatArgs& args);

  const Clock& clock_;
  ClusterRow& row_;
  const ClusterOptions options_;
  NodeTable nodes_;
  std::map<GroupId, KnownGroup> groups_;
  GarbageCollector garbage_;
  std::map<ServerId, std::vector<std::string>> problems_;  // as last told
  struct Joined {
    std::uint64_t version = 0;  // of the table
    SteadyTime at;
  };
  std::map<std::pair<GroupId, ServerId>, Joined> joined_;  // by this process
  struct Ripening {
    SteadyTime since;
    std::uint64_t next_chunk = 0;  // at that time
    std::uint64_t ripe_below = 0;
  };
  std::map<GroupId, Ripening> ripening_;
  std::uint64_t turn_ = 0;  // of allocations

  std::vector<PendingServer> pending_servers_;  // of the batch that runs
  std::vector<GroupId> pending_groups_;
  std::map<GroupId, KnownGroup> changed_groups_;          // as they were before it
  std::map<ServerId, bool> changed_draining_;             // the same
  bool unpublished_ = false;  // the table differs from `published_`
  GroupTablePtr published_;
};

}  // namespace dfs
