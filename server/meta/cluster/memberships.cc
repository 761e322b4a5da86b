// How the memberships of groups change, and what else is kept of a group.
//
//   given_up_below(group) <= ripe_below(group) <= the group's next chunk
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "server/meta/cluster/cluster.h"

namespace dfs {
namespace {

using namespace std::chrono_literals;

// Who uploads knows of a member after a push of the table, or by a refusal of
// the others a heartbeat later; what he uploaded before is named by a commit
// within seconds. Comparing lists finds what takes longer.
constexpr auto kLateFor = 10min;
// Some of the longest intervals at which the log is synced.
constexpr auto kGarbageHold = 3s;
// Clients give up ids that expire within a minute: shorter times are for tests.
constexpr auto kExpiryMin = 4min;

}  // namespace

const GroupMember* Cluster::member(GroupId group, ServerId server) const {
  const auto known = groups_.find(group);
  if (known == groups_.end()) return nullptr;
  const auto& members = known->second.group.members;
  const auto found = std::find_if(members.begin(), members.end(),
                                  [&](const GroupMember& each) { return each.server == server; });
  return found == members.end() ? nullptr : &*found;
}

std::uint64_t Cluster::member_since(GroupId group, ServerId server) const {
  const auto found = joined_.find({group, server});
  return found == joined_.end() ? 0 : found->second.version;
}

std::vector<ServerId> Cluster::late_members_of(GroupId group) const {
  std::vector<ServerId> late;
  if (joined_.empty()) return late;
  const auto known = groups_.find(group);
  if (known == groups_.end()) return late;
  for (const GroupMember& member : known->second.group.members) {
    if (member.state == MemberState::leaving) continue;
    const auto joined = joined_.find({group, member.server});
    if (joined == joined_.end()) continue;
    if (member.state == MemberState::joining || clock_.now() - joined->second.at < kLateFor)
      late.push_back(member.server);
  }
  return late;
}

Cluster::KnownGroup& Cluster::change(GroupId group) {
  const auto found = groups_.find(group);
  invariant(found != groups_.end(), "a group that changes is known");
  changed_groups_.emplace(group, found->second);
  return found->second;
}

Result<void> Cluster::set_members(Transaction& txn, GroupId id, std::vector<GroupMember> members) {
  GroupRecord* record = TRY(txn.edit<tables::Groups>(id));
  if (record == nullptr) return fail(Errc::corrupt, "a group has no row");
  Group& group = change(id).group;
  table_changed();
  for (const GroupMember& now : members)
    if (member(id, now.server) == nullptr) joined_[{id, now.server}] = {table_version(), clock_.now()};
  for (const GroupMember& before : group.members) {
    const bool stays = std::any_of(members.begin(), members.end(), [&](const GroupMember& now) {
      return now.server == before.server;
    });
    if (!stays) joined_.erase({id, before.server});
  }
  group.epoch = Epoch{group.epoch.value() + 1};
  group.members = std::move(members);
  record->epoch = group.epoch;
  record->members = group.members;
  return {};
}

Cluster::Memberships Cluster::memberships() const {
  Memberships count;
  for (const auto& [id, known] : groups_)
    for (const GroupMember& each : known.group.members)
      if (each.state != MemberState::leaving) ++count[each.server];
  return count;
}

std::optional<ServerId> Cluster::replacement(GroupId id, const std::vector<ServerId>& staying,
                                             const Memberships& memberships) const {
  std::vector<Candidate> candidates;
  for (const auto& [server, node] : nodes_.all()) {
    if (!node.info.alive || node.draining || member(id, server) != nullptr) continue;
    const auto count = memberships.find(server);
    candidates.push_back({placement_server(node.info),
                          count == memberships.end() ? 0 : count->second, node.info.capacity,
                          node.info.available});
  }
  std::vector<PlacementServer> places;
  for (const ServerId server : staying)
    if (const Node* node = nodes_.find(server)) places.push_back(placement_server(node->info));
  return choose_replacement(candidates, places);
}

Result<void> Cluster::set_draining(Transaction& txn, ServerId server, bool draining) {
  const Node* node = nodes_.find(server);
  if (node == nullptr)
    return fail(Errc::not_found, fmt::format("there is no storage server {}", server.value()));
  ServerRecord* record = TRY(txn.edit<tables::Servers>(server));
  if (record == nullptr) return fail(Errc::corrupt, "a storage server has no row");
  record->draining = draining;
  changed_draining_.emplace(server, node->draining);
  nodes_.set_draining(server, draining);
  return {};
}

std::uint32_t Cluster::replicas_of(GroupId group) const {
  const auto found = groups_.find(group);
  return found == groups_.end() ? 0 : found->second.replicas;
}

void Cluster::hold_garbage(ChunkId chunk) {
  garbage_.hold(chunk, clock_.now() + kGarbageHold, clock_.now());
}

// --- ids that are given up ----------------------------------------------------------

std::uint64_t Cluster::given_up_below(GroupId group) const {
  const auto found = groups_.find(group);
  return found == groups_.end() ? 0 : found->second.given_up_below;
}

std::uint64_t Cluster::ripe_below(GroupId group) const {
  const auto found = ripening_.find(group);
  const std::uint64_t ripe = found == ripening_.end() ? 0 : found->second.ripe_below;
  return std::max(ripe, given_up_below(group));
}

Result<void> Cluster::give_up_ripe(Transaction& txn, GroupId id) {
  const std::uint64_t ripe = ripe_below(id);
  if (ripe == given_up_below(id)) return {};
  GroupRecord* record = TRY(txn.edit<tables::Groups>(id));
  if (record == nullptr) return fail(Errc::corrupt, "a group has no row");
  record->given_up_below = change(id).given_up_below = ripe;
  return {};
}

Result<void> Cluster::ripen(Transaction& txn) {
  if (keeps_unknown()) return {};
  const SteadyTime now = clock_.now();
  for (const auto& [id, known] : groups_) {
    const auto [found, is_new] = ripening_.try_emplace(id);
    Ripening& ripening = found->second;
    if (!is_new && now - ripening.since < options_.late_commit_max) continue;
    const GroupRecord* record = TRY(txn.find<tables::Groups>(id));
    if (record == nullptr) return fail(Errc::corrupt, "a group has no row");
    ripening.ripe_below = is_new ? 0 : ripening.next_chunk;
    ripening.since = now;
    ripening.next_chunk = record->next_chunk;
  }
  return {};
}

// So that ids which are given up are not used any more by then.
WallNanos Cluster::ids_expire() const {
  const auto time = options_.late_commit_max / 2;
  return time < kExpiryMin ? 0 : clock_.wall() + time.count();
}

}  // namespace dfs
