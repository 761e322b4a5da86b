#include "server/meta/cluster/balance.h"

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>

namespace dfs {
namespace {

int shares(const std::string& a, const std::string& b) { return !a.empty() && a == b; }

class Balance {
 public:
  Balance(const std::vector<BalanceServer>& servers, const std::vector<BalanceGroup>& groups)
      : groups_(groups) {
    for (const BalanceServer& server : servers) {
      if (server.capacity == 0) continue;
      facts_[server.place.server] = {&server, 0};
      order_.push_back(server.place.server);
    }
    for (const BalanceGroup& group : groups)
      for (const ServerId member : group.members)
        if (const auto found = facts_.find(member); found != facts_.end())
          ++found->second.memberships;
    std::sort(order_.begin(), order_.end(), [&](ServerId a, ServerId b) {
      const double by_a = fullness(a, 0), by_b = fullness(b, 0);
      return by_a != by_b ? by_a > by_b : a < b;
    });
  }

  std::vector<BalanceMove> choose(std::size_t moves_max) {
    std::vector<BalanceMove> moves;
    for (const ServerId from : order_) {
      if (moves.size() >= moves_max) break;
      const auto move = best_from(from);
      if (!move) continue;
      busy_.insert(move->from);
      busy_.insert(move->to);
      busy_groups_.insert(move->group);
      moves.push_back(*move);
    }
    return moves;
  }

 private:
  struct Facts {
    const BalanceServer* server = nullptr;
    std::uint32_t memberships = 0;
  };
  using Sharing = std::tuple<int, int, int>;

  double used(ServerId id) const {
    const BalanceServer& server = *facts_.at(id).server;
    return static_cast<double>(server.capacity - std::min(server.capacity, server.available));
  }
  // With so many bytes more.
  double fullness(ServerId id, double bytes) const {
    return (used(id) + bytes) / static_cast<double>(facts_.at(id).server->capacity);
  }

  std::optional<BalanceMove> best_from(ServerId from) const {
    const Facts& giver = facts_.at(from);
    if (!giver.server->can_give || busy_.contains(from) || giver.memberships == 0)
      return std::nullopt;
    const double weight = used(from) / giver.memberships;
    for (auto to = order_.rbegin(); to != order_.rend(); ++to) {
      if (fullness(from, 0) - fullness(*to, 0) <= kBalanceDifferenceMin) break;
      const BalanceServer& taker = *facts_.at(*to).server;
      if (!taker.can_take || busy_.contains(*to)) continue;
      if (fullness(from, -weight) < fullness(*to, weight)) continue;
      const double room = static_cast<double>(taker.available) - weight;
      if (room < static_cast<double>(kReplacementSpaceMin)) continue;
      if (const auto group = group_for(from, *to)) return BalanceMove{*group, from, *to};
    }
    return std::nullopt;
  }

  // The group that gains most, or loses least, of separation.
  std::optional<GroupId> group_for(ServerId from, ServerId to) const {
    std::optional<GroupId> best;
    Sharing best_sharing;
    for (const BalanceGroup& group : groups_) {
      const auto& members = group.members;
      const auto is_member = [&](ServerId server) {
        return std::find(members.begin(), members.end(), server) != members.end();
      };
      if (busy_groups_.contains(group.group) || !is_member(from) || is_member(to)) continue;
      const Sharing now = sharing(members, from, to);
      if (now > sharing(members, from, from)) continue;
      if (best && now >= best_sharing) continue;
      best = group.group;
      best_sharing = now;
    }
    return best;
  }

  // Of how many pairs the members share zone, rack and host, with `to` in
  // place of `from`.
  Sharing sharing(const std::vector<ServerId>& members, ServerId from, ServerId to) const {
    Sharing count;
    const auto place = facts_.find(to);
    if (place == facts_.end()) return count;
    const PlacementServer& mine = place->second.server->place;
    for (const ServerId member : members) {
      const auto other = facts_.find(member);
      if (member == from || other == facts_.end()) continue;
      std::get<0>(count) += shares(mine.zone, other->second.server->place.zone);
      std::get<1>(count) += shares(mine.rack, other->second.server->place.rack);
      std::get<2>(count) += shares(mine.host, other->second.server->place.host);
    }
    return count;
  }

  const std::vector<BalanceGroup>& groups_;
  std::map<ServerId, Facts> facts_;
  std::vector<ServerId> order_;  // the fullest first
  std::set<ServerId> busy_;
  std::set<GroupId> busy_groups_;
};

}  // namespace

std::vector<BalanceMove> choose_moves(const std::vector<BalanceServer>& servers,
                                      const std::vector<BalanceGroup>& groups,
                                      std::size_t moves_max) {
  return Balance(servers, groups).choose(moves_max);
}

}  // namespace dfs
