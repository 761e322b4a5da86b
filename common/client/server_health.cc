#include "common/client/server_health.h"

#include <algorithm>
#include <fstream>

namespace dfs {
namespace {

// How long a server that failed is asked last. Long enough that a dead one is
// not waited for again and again, short enough that a restarted one is soon
// used again.
constexpr std::chrono::seconds kSuspectFor{3};

std::string boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

}  // namespace

ServerHealth::ServerHealth(const Clock& clock) : clock_(clock), machine_(boot_id()) {}

void ServerHealth::failed(ServerId server) {
  const SteadyTime now = clock_.now();
  failed_at_.with([&](auto& table) { table[server] = now; });
}

void ServerHealth::answered(ServerId server) {
  failed_at_.with([&](auto& table) {
    if (!table.empty()) table.erase(server);
  });
}

bool ServerHealth::suspect(ServerId server) const {
  return failed_at_.with([&](const auto& table) {
    if (table.empty()) return false;
    const auto it = table.find(server);
    return it != table.end() && clock_.now() - it->second < kSuspectFor;
  });
}

std::vector<ServerId> ServerHealth::order(const GroupTable& table, GroupId group_id,
                                          std::uint64_t turn, Purpose purpose) const {
  const auto group = table.groups.find(group_id);
  if (group == table.groups.end()) return {};

  struct Candidate {
    unsigned penalty;
    std::uint64_t turn;
    ServerId server;
  };
  std::vector<Candidate> candidates;
  const auto& members = group->second.members;
  for (std::size_t i = 0; i < members.size(); ++i) {
    const GroupMember& member = members[i];
    if (purpose == Purpose::writing && member.state == MemberState::leaving) continue;
    const auto info = table.servers.find(member.server);
    unsigned penalty = 0;
    if (suspect(member.server)) penalty += 16;
    if (info == table.servers.end() || !info->second.alive) penalty += 8;
    if (member.state != MemberState::active) penalty += 4;
    if (info == table.servers.end() || info->second.machine != machine_) penalty += 1;
    candidates.push_back({penalty, (i + turn) % members.size(), member.server});
  }
  std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    return a.penalty != b.penalty ? a.penalty < b.penalty : a.turn < b.turn;
  });

  std::vector<ServerId> result;
  result.reserve(candidates.size());
  for (const Candidate& candidate : candidates) result.push_back(candidate.server);
  return result;
}

std::vector<ServerId> ServerHealth::read_order(const GroupTable& table, GroupId group,
                                               std::uint64_t turn) const {
  return order(table, group, turn, Purpose::reading);
}

std::vector<ServerId> ServerHealth::write_order(const GroupTable& table, GroupId group,
                                                std::uint64_t turn) const {
  return order(table, group, turn, Purpose::writing);
}

}  // namespace dfs
