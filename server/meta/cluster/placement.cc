#include "server/meta/cluster/placement.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace dfs {
namespace {

__extension__ using Wide = unsigned __int128;

int shares(const std::string& a, const std::string& b) { return !a.empty() && a == b; }

// How many groups a server is in, and first in.
struct Load {
  std::uint32_t member = 0;
  std::uint32_t first = 0;
};

class Planner {
 public:
  Planner(std::vector<PlacementServer> servers, std::uint32_t replicas)
      : servers_(std::move(servers)), replicas_(replicas), loads_(servers_.size()) {
    std::sort(servers_.begin(), servers_.end(),
              [](const auto& a, const auto& b) { return a.server < b.server; });
  }

  void count(const GroupMembers& members) {
    for (std::size_t position = 0; position < members.size(); ++position) {
      const auto found = std::lower_bound(
          servers_.begin(), servers_.end(), members[position],
          [](const PlacementServer& server, ServerId id) { return server.server < id; });
      if (found == servers_.end() || found->server != members[position]) continue;
      Load& load = loads_[static_cast<std::size_t>(found - servers_.begin())];
      ++load.member;
      if (position == 0) ++load.first;
    }
  }

  bool is_even() const {
    const auto [least_first, most_first] = std::minmax_element(
        loads_.begin(), loads_.end(), [](Load a, Load b) { return a.first < b.first; });
    if (least_first->first == 0) return false;
    if (most_first->first - least_first->first > 1) return least_first->first >= kGroupsPerServerMax;
    const auto [least, most] = std::minmax_element(
        loads_.begin(), loads_.end(), [](Load a, Load b) { return a.member < b.member; });
    return most->member - least->member <= 1 || least_first->first >= kGroupsPerServerMax;
  }

  GroupMembers next() const {
    std::vector<std::size_t> chosen{first_member()};
    while (chosen.size() < replicas_) chosen.push_back(further_member(chosen));
    GroupMembers members;
    for (const std::size_t index : chosen) members.push_back(servers_[index].server);
    return members;
  }

 private:
  std::size_t first_member() const {
    const auto least = std::min_element(loads_.begin(), loads_.end(), [](Load a, Load b) {
      return std::tie(a.first, a.member) < std::tie(b.first, b.member);
    });
    return static_cast<std::size_t>(least - loads_.begin());
  }

  // Separation comes before load; equals follow each other in a circle, so
  // that three servers give (1 2 3), (2 3 1), (3 1 2).
  std::size_t further_member(const std::vector<std::size_t>& chosen) const {
    const std::size_t count = servers_.size();
    std::size_t best = count;
    std::tuple<int, int, int, std::uint32_t, std::size_t> best_cost;
    for (std::size_t distance = 1; distance < count; ++distance) {
      const std::size_t index = (chosen.front() + distance) % count;
      if (std::find(chosen.begin(), chosen.end(), index) != chosen.end()) continue;
      int zones = 0, racks = 0, hosts = 0;
      for (const std::size_t other : chosen) {
        zones += shares(servers_[index].zone, servers_[other].zone);
        racks += shares(servers_[index].rack, servers_[other].rack);
        hosts += shares(servers_[index].host, servers_[other].host);
      }
      const std::tuple cost{zones, racks, hosts, loads_[index].member, distance};
      if (best == count || cost < best_cost) {
        best = index;
        best_cost = cost;
      }
    }
    return best;
  }

  std::vector<PlacementServer> servers_;
  const std::uint32_t replicas_;
  std::vector<Load> loads_;
};

// A point of [0, total) for each turn; consecutive turns lie far apart and
// all of them together evenly (multiples of the golden ratio).
std::uint64_t point_of(std::uint64_t turn, std::uint64_t total) {
  const std::uint64_t fraction = turn * 0x9E3779B97F4A7C15u;
  return static_cast<std::uint64_t>(static_cast<Wide>(fraction) * total >> 64);
}

}  // namespace

std::vector<GroupMembers> plan_groups(const std::vector<PlacementServer>& servers,
                                      const std::vector<GroupMembers>& existing,
                                      std::uint32_t replicas) {
  std::vector<GroupMembers> plan;
  if (replicas == 0 || servers.size() < replicas) return plan;

  Planner planner(servers, replicas);
  for (const GroupMembers& members : existing) planner.count(members);
  const std::size_t plan_max = servers.size() * kGroupsPerServerMax;
  while (!planner.is_even() && plan.size() < plan_max) {
    plan.push_back(planner.next());
    planner.count(plan.back());
  }
  return plan;
}

std::optional<ServerId> choose_replacement(const std::vector<Candidate>& candidates,
                                           const std::vector<PlacementServer>& staying) {
  const auto shared = [&](const Candidate& candidate) {
    std::tuple<int, int, int> count;
    for (const PlacementServer& other : staying) {
      std::get<0>(count) += shares(candidate.place.zone, other.zone);
      std::get<1>(count) += shares(candidate.place.rack, other.rack);
      std::get<2>(count) += shares(candidate.place.host, other.host);
    }
    return count;
  };
  const auto is_better = [&](const Candidate& a, const Candidate& b) {
    if (const auto by_a = shared(a), by_b = shared(b); by_a != by_b) return by_a < by_b;
    const Wide load_a = static_cast<Wide>(a.memberships + 1) * b.capacity;
    const Wide load_b = static_cast<Wide>(b.memberships + 1) * a.capacity;
    return load_a != load_b ? load_a < load_b : a.place.server < b.place.server;
  };
  const Candidate* best = nullptr;
  for (const Candidate& candidate : candidates) {
    if (candidate.available < kReplacementSpaceMin) continue;
    if (best == nullptr || is_better(candidate, *best)) best = &candidate;
  }
  if (best == nullptr) return std::nullopt;
  return best->place.server;
}

Result<std::vector<ChunkShare>> share_chunks(const std::vector<GroupFacts>& groups,
                                             std::uint32_t count, std::uint64_t chunk_size,
                                             std::uint64_t turn) {
  bool any_alive = false;
  std::uint32_t lacking_least = UINT32_MAX;
  const auto lacking = [](const GroupFacts& group) {
    return group.members - group.alive + group.avoided;
  };
  const auto usable = [&](const GroupFacts& group) {
    if (group.members == 0 || group.alive < members_needed(group.members)) return false;
    any_alive = true;
    return group.available >= std::max<std::uint64_t>(chunk_size, 1);
  };
  for (const GroupFacts& group : groups)
    if (usable(group)) lacking_least = std::min(lacking_least, lacking(group));
  if (lacking_least == UINT32_MAX) {
    if (any_alive) return fail(Errc::no_space, "every storage server that is alive is full");
    return fail(Errc::unavailable, "too few members of each replica group are alive");
  }

  std::vector<const GroupFacts*> eligible;
  std::uint64_t space = 0;
  // Scaled down so that sums of exabytes stay below 2^64.
  const auto weight_of = [](const GroupFacts& group) { return group.available / MiB + 1; };
  for (const GroupFacts& group : groups) {
    if (!usable(group) || lacking(group) != lacking_least) continue;
    eligible.push_back(&group);
    space += weight_of(group);
  }

  std::size_t start = 0;
  std::uint64_t point = point_of(turn, space);
  while (point >= weight_of(*eligible[start])) point -= weight_of(*eligible[start++]);
  std::rotate(eligible.begin(), eligible.begin() + static_cast<std::ptrdiff_t>(start),
              eligible.end());
  if (eligible.size() > kGroupsPerAllocationMax) eligible.resize(kGroupsPerAllocationMax);

  space = 0;
  for (const GroupFacts* group : eligible) space += weight_of(*group);
  std::vector<ChunkShare> shares;
  std::uint32_t left = count;
  for (const GroupFacts* group : eligible) {
    const auto part = static_cast<std::uint32_t>(
        static_cast<Wide>(count) * weight_of(*group) / space);
    shares.push_back({group->group, part});
    left -= part;
  }
  // What rounding left over: one each from the start, which thereby gets
  // something even when `count` is 1.
  for (std::size_t i = 0; left > 0; i = (i + 1) % shares.size(), --left) ++shares[i].count;
  std::erase_if(shares, [](const ChunkShare& share) { return share.count == 0; });
  return shares;
}

}  // namespace dfs
