#include "server/meta/cluster/cluster.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "common/base/log.h"
#include "common/rpc/protocol.h"

namespace dfs {
namespace {

constexpr std::size_t kProblemsKeptMax = 16;

}  // namespace

PlacementServer placement_server(const ServerInfo& info) {
  const auto label = [&](const std::string& name) {
    const auto found = info.labels.find(name);
    return found == info.labels.end() ? std::string() : found->second;
  };
  std::string host = label("host");
  if (host.empty()) host = info.machine;
  return {info.server, label("zone"), label("rack"), std::move(host)};
}

Cluster::Cluster(const Clock& clock, ClusterRow& row, ClusterOptions options)
    : clock_(clock), row_(row), options_(options), nodes_(clock, options.nodes) {
  loaded();
}

void Cluster::load(ServerId server, ServerRecord record) {
  ServerInfo info;
  info.server = server;
  info.address = std::move(record.address);
  info.local_socket = std::move(record.local_socket);
  info.machine = std::move(record.machine);
  info.labels = std::move(record.labels);
  info.capacity = record.capacity;
  info.available = record.capacity;  // until it says how much: not full
  nodes_.put(std::move(info), std::move(record.identity));
  nodes_.set_draining(server, record.draining);
}

void Cluster::load(GroupId group, GroupRecord record) {
  for (const GroupMember& member : record.members)
    if (member.state == MemberState::joining)
      joined_[{group, member.server}] = {table_version(), clock_.now()};
  groups_[group] = {{group, std::move(record.pool), record.epoch, std::move(record.members)},
                    record.replicas, record.given_up_below};
}

void Cluster::loaded() { published_ = std::make_shared<const GroupTable>(current()); }

Result<HeartbeatResult> Cluster::heartbeat(Transaction& txn, const HeartbeatArgs& args) {
  HeartbeatResult result;
  const Node* node = nodes_.find(args.server);
  if (node == nullptr || node->identity != args.identity) {
    result.register_again = true;
    return result;
  }
  const NodeUsage usage{args.capacity, args.available, args.chunks, args.used};
  if (nodes_.heard_from(args.server, usage)) table_changed();
  note_problems(args);

  TRY(GarbageCollector::acknowledge(txn, row_.totals(), args.server, args.deleted));
  std::vector<GroupId> member_of;
  for (const auto& [id, known] : groups_)
    for (const GroupMember& member : known.group.members)
      if (member.server == args.server) member_of.push_back(id);
  GarbageCollector::Batch batch = TRY(garbage_.next(txn, row_.totals(), *this, args.server, member_of,
                                                    clock_.now()));
  result.to_delete = std::move(batch.chunks);
  result.more = batch.more;
  return result;
}

void Cluster::expire() {
  if (nodes_.expire() || unpublished_) table_changed();
}

Result<AllocateResult> Cluster::allocate(Transaction& txn, const Policy& policy,
                                         const AllocateArgs& args) {
  const bool has_groups =
      std::any_of(groups_.begin(), groups_.end(), [&](const auto& entry) {
        return entry.second.replicas == policy.replicas;
      });
  if (!has_groups) make_groups(txn, policy.replicas);
  std::vector<GroupFacts> candidates = facts(policy.replicas, args);
  if (candidates.empty()) return fail(too_few_servers(policy.replicas));

  const std::uint32_t count = std::clamp<std::uint32_t>(args.count, 1, kChunksPerAllocationMax);
  AllocateResult result;
  std::vector<ChunkShare> shares;
  // Again without a group whose serials are used up, until all shares fit.
  while (true) {
    auto shared = share_chunks(candidates, count, policy.chunk_size, turn_);
    if (!shared && shared.error().code == Errc::unavailable && nodes_.alive_count() == 0)
      return fail(Errc::unavailable,
                  fmt::format("no storage server is alive; {} are registered", nodes_.all().size()));
    shares = TRY(std::move(shared));
    std::size_t used_up = 0;
    for (const ChunkShare& share : shares) {
      const GroupRecord* group = TRY(txn.find<tables::Groups>(share.group));
      if (group != nullptr && group->next_chunk + share.count - 1 <= ChunkId::kSerialMax) continue;
      std::erase_if(candidates, [&](const auto& facts) { return facts.group == share.group; });
      ++used_up;
    }
    if (used_up == 0) break;
    if (candidates.empty()) return fail(Errc::no_space, "the replica groups have no chunk ids left");
  }
  ++turn_;
  for (const ChunkShare& share : shares) {
    GroupRecord* group = TRY(txn.edit<tables::Groups>(share.group));
    result.ranges.push_back(
        {ChunkId{share.group, group->next_chunk}, share.count, {}, ids_expire()});
    group->next_chunk += share.count;
  }
  return result;
}

StatFsResult Cluster::space(std::uint32_t replicas) const {
  StatFsResult result;
  for (const auto& [server, node] : nodes_.all()) {
    result.bytes_total += node.info.capacity;
    if (node.info.alive) result.bytes_available += node.info.available;
  }
  const std::uint32_t copies = std::max(replicas, 1u);
  result.bytes_total /= copies;
  result.bytes_available /= copies;
  return result;
}

void Cluster::keep() {
  for (PendingServer& server : pending_servers_)
    nodes_.put(std::move(server.info), std::move(server.identity));
  pending_servers_.clear();
  pending_groups_.clear();
  changed_groups_.clear();
  changed_draining_.clear();
  if (row_.record().group_table_version == published_->version) return;
  published_ = std::make_shared<const GroupTable>(current());
  unpublished_ = false;
}

void Cluster::undo() {
  pending_servers_.clear();
  for (auto& [id, before] : std::exchange(changed_groups_, {})) groups_[id] = std::move(before);
  for (const auto& [server, before] : std::exchange(changed_draining_, {}))
    nodes_.set_draining(server, before);
  for (const GroupId group : pending_groups_) groups_.erase(group);
  pending_groups_.clear();
}

GroupTable Cluster::current() const {
  GroupTable table;
  table.version = row_.record().group_table_version;
  for (const auto& [id, known] : groups_) table.groups.emplace(id, known.group);
  for (const auto& [server, node] : nodes_.all()) table.servers.emplace(server, node.info);
  return table;
}

std::vector<ServerId> Cluster::members_of(GroupId group) const {
  std::vector<ServerId> members;
  const auto found = groups_.find(group);
  if (found == groups_.end()) return members;
  for (const GroupMember& member : found->second.group.members) members.push_back(member.server);
  return members;
}

void Cluster::make_groups(Transaction& txn, std::uint32_t replicas) {
  std::vector<GroupMembers> existing;
  for (const auto& [id, known] : groups_)
    if (known.replicas == replicas) existing.push_back(members_of(id));

  const std::vector<GroupMembers> plan = plan_groups(placement_servers(), existing, replicas);
  for (const GroupMembers& members : plan) {
    const GroupId id = row_.next_group();
    GroupRecord record;
    record.pool = fmt::format("replicated:{}", replicas);
    record.epoch = Epoch{1};
    record.replicas = replicas;
    record.next_chunk = 1;
    for (const ServerId member : members) record.members.push_back({member, MemberState::active});
    txn.put<tables::Groups>(id, record);
    load(id, std::move(record));
    pending_groups_.push_back(id);
  }
  if (plan.empty()) return;
  table_changed();
  log_info("cluster", "made {} replica groups of {} servers each", plan.size(), replicas);
}

std::vector<PlacementServer> Cluster::placement_servers() const {
  std::vector<PlacementServer> servers;
  const auto is_pending = [&](ServerId server) {
    return std::any_of(pending_servers_.begin(), pending_servers_.end(),
                       [&](const auto& pending) { return pending.info.server == server; });
  };
  for (const auto& [server, node] : nodes_.all())
    if (node.info.alive && !node.draining && !is_pending(server)) servers.push_back(placement_server(node.info));
  for (const PendingServer& pending : pending_servers_)
    servers.push_back(placement_server(pending.info));
  return servers;
}

std::vector<GroupFacts> Cluster::facts(std::uint32_t replicas, const AllocateArgs& args) const {
  std::vector<GroupFacts> all;
  for (const auto& [id, known] : groups_) {
    if (known.replicas != replicas) continue;
    GroupFacts group;
    group.group = id;
    group.available = UINT64_MAX;
    for (const GroupMember& member : known.group.members) {
      if (member.state == MemberState::leaving) continue;
      ++group.members;
      const Node* node = nodes_.find(member.server);
      if (node == nullptr || !node->info.alive) continue;
      ++group.alive;
      group.available = std::min(group.available, node->info.available);
      if (std::find(args.avoid.begin(), args.avoid.end(), member.server) != args.avoid.end())
        ++group.avoided;
    }
    if (group.alive == 0) group.available = 0;
    all.push_back(group);
  }
  return all;
}

Error Cluster::too_few_servers(std::uint32_t replicas) const {
  if (nodes_.alive_count() == 0)
    return {Errc::unavailable, nodes_.all().empty()
                                   ? "no storage server is registered"
                                   : fmt::format("no storage server is alive; {} are registered",
                                                 nodes_.all().size())};
  return {Errc::unavailable,
          fmt::format("{} copies of each chunk need {} storage servers; {} are registered, {} of "
                      "them alive",
                      replicas, replicas, nodes_.all().size(), nodes_.alive_count())};
}

const std::vector<std::string>& Cluster::problems_of(ServerId server) const {
  static const std::vector<std::string> none;
  const auto found = problems_.find(server);
  return found == problems_.end() ? none : found->second;
}

void Cluster::table_changed() {
  unpublished_ = true;
  row_.bump_group_table_version();
}

void Cluster::note_problems(const HeartbeatArgs& args) {
  std::vector<std::string>& known = problems_[args.server];
  std::vector<std::string> now(args.problems.begin(),
                               args.problems.begin() + static_cast<std::ptrdiff_t>(std::min(
                                                           args.problems.size(), kProblemsKeptMax)));
  if (known == now) return;
  for (const std::string& problem : now)
    log_warn("cluster", "storage server {} says: {}", args.server.value(), problem);
  // A disk may have failed: what the server still has is to be looked at.
  nodes_.note_loss(args.server);
  known = std::move(now);
}

}  // namespace dfs
