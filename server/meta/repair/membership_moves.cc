#include "server/meta/repair/membership_moves.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "common/base/log.h"
#include "server/meta/cluster/balance.h"

namespace dfs {
namespace {

// One of so many servers gives to another at a time, a single one in a small cluster.
constexpr std::size_t kServersPerBalanceMove = 8;
constexpr std::chrono::hours kBalanceRest{24};

std::size_t count(const std::vector<GroupMember>& members, MemberState state) {
  return static_cast<std::size_t>(
      std::count_if(members.begin(), members.end(),
                    [&](const GroupMember& member) { return member.state == state; }));
}

}  // namespace

Result<std::vector<MembershipMoves::Dropped>> MembershipMoves::step(Transaction& txn,
                                                                    const Filled& filled) {
  facts_ = {};
  memberships_ = cluster_.memberships();
  looks_ = 0;
  std::vector<Dropped> dropped;
  std::size_t changes = 0;
  // The most endangered groups first, should there be too many for one step.
  std::vector<std::pair<std::size_t, GroupId>> order;
  for (const auto& [id, known] : cluster_.groups()) {
    std::size_t live = 0;
    for (const GroupMember& member : known.group.members)
      live += cluster_.nodes().is_alive(member.server);
    order.emplace_back(live, id);
  }
  std::sort(order.begin(), order.end());
  for (const auto& [live, id] : order) {
    Members members = cluster_.groups().at(id).group.members;
    if (changes < kChangesMax) {
      const bool finished = TRY(finish(members, id, filled, dropped));
      const bool begun = begin(members, id);
      if (finished || begun) {
        ++changes;
        TRY(cluster_.set_members(txn, id, members));
      }
    }
    const std::size_t joining = count(members, MemberState::joining);
    facts_.moving += joining;
    const auto could_stay = [&](const GroupMember& member) {
      return member.state == MemberState::leaving && !is_going(member.server);
    };
    facts_.balancing += std::min(joining, static_cast<std::size_t>(std::count_if(
                                              members.begin(), members.end(), could_stay)));
  }
  return dropped;
}

Result<bool> MembershipMoves::finish(Members& members, GroupId group, const Filled& filled,
                                     std::vector<Dropped>& dropped) {
  bool changed = false;
  for (GroupMember& member : members) {
    if (member.state != MemberState::joining) continue;
    const bool is_full = TRY(filled(group, member.server));
    if (!is_full) continue;
    member.state = MemberState::active;
    changed = true;
    log_info("repair", "storage server {} has all of group {}", member.server.value(),
             group.value());
  }
  const bool stands = std::any_of(members.begin(), members.end(), [&](const GroupMember& member) {
    return member.state == MemberState::active && cluster_.nodes().is_alive(member.server);
  });
  if (count(members, MemberState::joining) > 0 || !stands) return changed;
  for (const GroupMember& member : members)
    if (member.state == MemberState::leaving) dropped.push_back({group, member.server});
  const std::size_t before = members.size();
  std::erase_if(members,
                [](const GroupMember& member) { return member.state == MemberState::leaving; });
  return changed || members.size() != before;
}

bool MembershipMoves::must_go(const GroupMember& member) const {
  return member.state != MemberState::leaving && is_going(member.server);
}

bool MembershipMoves::is_going(ServerId server) const {
  const Node* node = cluster_.nodes().find(server);
  return node == nullptr || node->draining || cluster_.nodes().is_out(server) ||
         lacks_disks(server, *node);
}

// Its other disks cannot take what was on one that failed.
bool MembershipMoves::lacks_disks(ServerId server, const Node& node) const {
  return node.told_usage && !cluster_.problems_of(server).empty() &&
         node.info.available < kReplacementSpaceMin;
}

Result<bool> MembershipMoves::balance(Transaction& txn, SteadyTime now) {
  const auto is_long_ago = [&](const auto& entry) { return now - entry.second > kBalanceRest; };
  std::erase_if(gave_, is_long_ago);
  std::erase_if(took_, is_long_ago);
  std::vector<BalanceServer> servers;
  for (const auto& [server, node] : cluster_.nodes().all())
    servers.push_back({placement_server(node.info), node.info.capacity, node.info.available,
                       node.info.alive && !node.draining && !gave_.contains(server),
                       !took_.contains(server)});
  std::vector<BalanceGroup> groups;
  for (const auto& [id, known] : cluster_.groups())
    if (count(known.group.members, MemberState::active) == known.group.members.size())
      groups.push_back({id, cluster_.members_of(id)});
  const std::size_t moves_max = std::max<std::size_t>(1, servers.size() / kServersPerBalanceMove);
  const auto moves = choose_moves(servers, groups, std::min(moves_max, kChangesMax));
  for (const BalanceMove& move : moves) {
    Members members = cluster_.groups().at(move.group).group.members;
    for (GroupMember& member : members)
      if (member.server == move.from) member.state = MemberState::leaving;
    members.push_back({move.to, MemberState::joining});
    TRY(cluster_.set_members(txn, move.group, members));
    gave_[move.from] = took_[move.to] = now;
    log_info("repair", "storage server {} takes the place of {} in group {}, which is fuller",
             move.to.value(), move.from.value(), move.group.value());
  }
  return !moves.empty();
}

bool MembershipMoves::begin(Members& members, GroupId group) {
  bool changed = false;
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (!must_go(members[i])) continue;
    const ServerId leaves = members[i].server;
    const auto is_source = [&](const GroupMember& member) {
      return member.state != MemberState::joining && cluster_.nodes().is_alive(member.server);
    };
    std::vector<ServerId> staying;
    for (const GroupMember& member : members)
      if (member.server != leaves && member.state != MemberState::leaving)
        staying.push_back(member.server);
    ++facts_.to_move[leaves];
    if (std::none_of(members.begin(), members.end(), is_source)) {
      ++facts_.no_source[leaves];
      continue;
    }
    if (++looks_ > kLooksMax) continue;
    const auto taker = cluster_.replacement(group, staying, memberships_);
    const bool taken = taker && std::none_of(members.begin(), members.end(), [&](const auto& member) {
                         return member.server == *taker;
                       });
    if (!taken) {
      ++facts_.no_place[leaves];
      continue;
    }
    --facts_.to_move[leaves];
    members[i].state = MemberState::leaving;
    members.push_back({*taker, MemberState::joining});
    ++memberships_[*taker];
    changed = true;
    log_info("repair", "storage server {} takes the place of {} in group {}", taker->value(),
             leaves.value(), group.value());
  }
  return changed;
}

}  // namespace dfs
