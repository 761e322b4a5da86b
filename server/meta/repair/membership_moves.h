// Moves memberships away from servers that are out or drained, or whose disks
// failed and have no room for what was on them; and from full ones to those that
// are less full.
//
// A membership moves in three steps, each a new epoch of the group: a server
// that can take the place becomes `joining` and the old one `leaving`; the new
// one is filled and becomes `active`; the old one is dropped. Until then the
// old one is a member: whatever it has is read and copied from there, whenever
// it comes back.
//
//   members that are not leaving = what the policy asks for
//   a leaving member is dropped only when all others are active, and one of them is alive
//   no group loses its last live member
//
// What stands is in the rows `P`; how far the filling has come is known by
// who is asked (`Filled`). So moves go on after a restart.
//
// Threads: the core's; no locks.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <vector>

#include "server/meta/cluster/cluster.h"

namespace dfs {

struct MoveFacts {
  std::size_t moving = 0;                        // memberships under way
  std::size_t balancing = 0;                     // of those: away from servers that could stay
  std::map<ServerId, std::size_t> to_move;       // that have yet to begin, by who has them
  std::map<ServerId, std::size_t> no_place;      // of those: nobody can take the place
  std::map<ServerId, std::size_t> no_source;     // of those: nobody else of the group is alive
};

class MembershipMoves {
 public:
  // Whether a joining member has all that it should have.
  using Filled = std::function<Result<bool>(GroupId, ServerId)>;

  // Changed groups at most in one go, and places looked for.
  static constexpr std::size_t kChangesMax = 64;
  static constexpr std::size_t kLooksMax = 256;

  explicit MembershipMoves(Cluster& cluster) : cluster_(cluster) {}

  // Takes the steps that are due; returns whom groups have lost for good.
  struct Dropped {
    GroupId group;
    ServerId server;
  };
  Result<std::vector<Dropped>> step(Transaction& txn, const Filled& filled);
  // As the last step found them.
  const MoveFacts& facts() const { return facts_; }
  // Begins moves that even out how full servers are; true if there are any.
  // For when nothing else moves or is missing.
  Result<bool> balance(Transaction& txn, SteadyTime now);

 private:
  using Members = std::vector<GroupMember>;

  Result<bool> finish(Members& members, GroupId group, const Filled& filled,
                      std::vector<Dropped>& dropped);
  bool begin(Members& members, GroupId group);
  bool must_go(const GroupMember& member) const;
  bool is_going(ServerId server) const;
  bool lacks_disks(ServerId server, const Node& node) const;

  Cluster& cluster_;
  MoveFacts facts_;
  Cluster::Memberships memberships_;  // of the step under way
  std::size_t looks_ = 0;             // the same
  // Who gave and took memberships to balance, and when; of today.
  std::map<ServerId, SteadyTime> gave_;
  std::map<ServerId, SteadyTime> took_;
};

}  // namespace dfs
