#include "server/meta/repair/repair.h"

#include <algorithm>
#include <set>
#include <utility>

#include "common/base/log.h"
#include "server/meta/ops/conversions.h"
#include "server/meta/ops/missing_copies.h"
#include "server/meta/repair/policy_walk.h"

namespace dfs {
namespace {

using namespace std::chrono_literals;

constexpr auto kLookInterval = 500ms;
// Then there may be more to copy for other numbers of copies.
constexpr std::chrono::milliseconds kConvertingPause{200};
constexpr std::size_t kPurgedAtOnce = 1'024;
// Rows looked at to see whether a joining member lacks nothing but what is lost.
constexpr std::size_t kLostRowsMax = 64;

}  // namespace

Repair::Repair(const Clock& clock, Cluster& cluster, ClusterRow& row, const RepairOptions& options)
    : clock_(clock),
      cluster_(cluster),
      row_(row),
      options_(options),
      queue_(clock, cluster),
      conversion_(clock, cluster),
      moves_(cluster),
      copies_made_(metrics().counter("dfs_meta_repair_copies_total", "Copies made by repair.")),
      bytes_made_(metrics().counter("dfs_meta_repair_bytes_total",
                                    "Bytes that storage servers copied from each other.")),
      missing_(metrics().gauge("dfs_meta_missing_copies", "Copies that storage servers lack.")),
      missing_bytes_(metrics().gauge("dfs_meta_missing_bytes", "Bytes of those copies.")),
      lost_(metrics().gauge("dfs_meta_lost_chunks", "Chunks without any good copy.")),
      moving_(metrics().gauge("dfs_meta_moving_memberships",
                              "Places in replica groups that are being taken over.")),
      converting_(metrics().gauge("dfs_meta_converting_files",
                                  "Files yet to be brought to another number of copies.")),
      converting_bytes_(metrics().gauge("dfs_meta_converting_bytes", "Bytes in those files.")) {}

void Repair::load(const MissingKey& key) {
  const GroupId group = key.chunk.group();
  if (cluster_.member(group, key.server) != nullptr) return;
  const bool known = !to_purge_.empty() && to_purge_.back().group == group &&
                     to_purge_.back().server == key.server;
  if (!known) to_purge_.push_back({group, key.server});
}

// --- what a server asks --------------------------------------------------------------

Result<RepairResult> Repair::exchange(Transaction& txn, const RepairArgs& args) {
  RepairResult result;
  const Node* node = cluster_.nodes().find(args.server);
  if (node == nullptr || node->identity != args.identity) {
    result.register_again = true;
    return result;
  }
  Care& care = care_for(args.server, *node);
  TRY(take_outcome(txn, care, args));
  const SteadyTime now = clock_.now();
  if (args.groups) {
    care.lists.told_groups(in_order(args.server, *args.groups), now);
    care.unknown = 0;
  }
  if (args.listed && care.lists.expects(*args.listed)) {
    ListFindings found = TRY(check_list(txn, row_.totals(), cluster_, args.server, *args.listed));
    care.lists.checked(found, *args.listed, now);
    care.unknown += found.unknown;
    result.to_drop = std::move(found.to_drop);
    result.to_delete = std::move(found.to_delete);
  }
  result.to_copy = TRY(queue_.next(txn, row_.totals(), args.server));
  if (result.to_copy.empty()) conversion_.add_tasks(args.server, result.to_copy);
  result.list = care.lists.next(now, cluster_.table_version());
  result.list_groups = care.lists.wants_groups();
  result.pause = pause_of(result, care);
  return result;
}

Repair::Care& Repair::care_for(ServerId server, const Node& node) {
  const auto [found, is_new] =
      cares_.try_emplace(server, Care{ServerLists(options_.lists), node.arrivals});
  Care& care = found->second;
  if (is_new) {
    care.lists.want_all(cluster_.keeps_unknown() ? ServerLists::Haste::urgent
                                                 : ServerLists::Haste::calm);
  } else if (care.arrivals != node.arrivals) {
    care.arrivals = node.arrivals;
    care.lists.want_all(ServerLists::Haste::urgent);
  }
  return care;
}

Result<void> Repair::take_outcome(Transaction& txn, Care& care, const RepairArgs& args) {
  for (const ChunkId chunk : args.copied)
    if (!conversion_.copied(args.server, chunk))
      TRY(queue_.copied(txn, row_.totals(), args.server, chunk));
  for (const CopyFailure& failure : args.failed) {
    if (conversion_.failed(args.server, failure)) continue;
    const MissingRecord* wanted =
        TRY(txn.find<tables::Missing>(MissingKey{args.server, failure.chunk}));
    if (wanted != nullptr) queue_.failed(args.server, failure);
  }
  for (const ChunkId chunk : args.damaged) TRY(reported(txn, args.server, chunk));
  care.lists.copied(args.copied.size());
  copied_chunks_ += args.copied.size();
  copied_bytes_ += args.copied_bytes;
  copies_made_.add(static_cast<double>(args.copied.size()));
  bytes_made_.add(static_cast<double>(args.copied_bytes));
  rate_.add(args.copied_bytes, clock_.now());
  return {};
}

std::chrono::milliseconds Repair::pause_of(const RepairResult& result, const Care& care) const {
  const bool work = !result.to_copy.empty() || !result.to_drop.empty() ||
                    !result.to_delete.empty() || result.list.has_value() || result.list_groups;
  if (work) return 0ms;
  if (care.lists.urgent()) return 50ms;
  const std::chrono::milliseconds idle = cluster_.heartbeat_interval();
  if (conversion_.busy()) return std::min(kConvertingPause, idle);
  return care.lists.busy() ? std::min(1'000ms, idle) : idle;
}

// Groups it is a member of, the most endangered first, then those it is none of.
std::vector<GroupId> Repair::in_order(ServerId server, const std::vector<GroupId>& told) const {
  std::set<GroupId> all(told.begin(), told.end());
  for (const auto& [id, known] : cluster_.groups())
    if (cluster_.member(id, server) != nullptr) all.insert(id);
  std::vector<std::pair<std::size_t, GroupId>> order;
  for (const GroupId group : all) {
    std::size_t live = SIZE_MAX;
    if (cluster_.member(group, server) != nullptr) {
      live = 0;
      for (const ServerId member : cluster_.members_of(group))
        live += cluster_.nodes().is_alive(member);
    }
    order.emplace_back(live, group);
  }
  std::sort(order.begin(), order.end());
  std::vector<GroupId> groups;
  for (const auto& [live, group] : order) groups.push_back(group);
  return groups;
}

void Repair::refused(ServerId server) {
  const auto found = cares_.find(server);
  if (found != cares_.end()) found->second.lists.start_over();
}

Result<void> Repair::reported(Transaction& txn, ServerId server, ChunkId chunk) {
  const GroupMember* member = cluster_.member(chunk.group(), server);
  if (member == nullptr || member->state == MemberState::leaving) return {};
  const ChunkRecord* used = TRY(txn.find<tables::Chunks>(chunk));
  if (used == nullptr) return {};
  return ops::note_missing(txn, row_.totals(), server, chunk, used->length);
}

// --- what is due by itself -----------------------------------------------------------

Result<bool> Repair::look_after(Transaction& txn) {
  const bool more = TRY(purge_some(txn));
  const SteadyTime now = clock_.now();
  if (now < next_look_) return more;
  next_look_ = now + kLookInterval;
  std::uint64_t alive = 0;
  for (const auto& [server, node] : cluster_.nodes().all())
    alive += node.info.alive ? node.arrivals * server.value() : 0;
  if (std::exchange(alive_before_, alive) != alive) queue_.try_again();

  TRY(cluster_.ripen(txn));
  const auto dropped = TRY(moves_.step(txn, [&](GroupId group, ServerId server) {
    return is_filled(txn, group, server);
  }));
  to_purge_.insert(to_purge_.end(), dropped.begin(), dropped.end());
  // It learns of it with a heartbeat.
  for (const auto& each : dropped)
    to_compare_.emplace_back(now + 2 * cluster_.heartbeat_interval(), each);
  compare_dropped(now);
  TRY(balance(txn));
  return more || !to_purge_.empty();
}

void Repair::compare_dropped(SteadyTime now) {
  for (; !to_compare_.empty() && to_compare_.front().first <= now; to_compare_.pop_front()) {
    const auto& [group, server] = to_compare_.front().second;
    const auto care = cares_.find(server);
    if (care != cares_.end() && cluster_.nodes().is_alive(server)) care->second.lists.want(group);
  }
}

// Whether nothing else is to be done for which servers and disks are needed.
bool Repair::is_calm() const {
  if (row_.totals().missing > 0 || moves_.facts().moving > 0 ||
      !moves_.facts().to_move.empty() || !to_compare_.empty())
    return false;
  if (std::any_of(cares_.begin(), cares_.end(),
                  [](const auto& entry) { return entry.second.lists.urgent(); }))
    return false;
  return std::all_of(cluster_.nodes().all().begin(), cluster_.nodes().all().end(),
                     [&](const auto& entry) {
                       const auto& [server, node] = entry;
                       return node.draining || cluster_.nodes().is_out(server) ||
                              (node.info.alive && node.told_usage);
                     });
}

Result<void> Repair::balance(Transaction& txn) {
  if (!options_.balance) return {};
  const SteadyTime now = clock_.now();
  if (!is_calm()) calm_since_ = now;
  if (now - calm_since_ < options_.balance_pause) return {};
  const bool begun = TRY(moves_.balance(txn, now));
  if (begun) calm_since_ = now;
  return {};
}

Result<bool> Repair::convert(Transaction& txn, const OperationContext& context,
                             std::vector<InodeId>& changed) {
  bool more = false;
  if (context.totals.walks > 0) {
    auto step = walk_some(txn, context);
    if (step) {
      changed.insert(changed.end(), step->changed.begin(), step->changed.end());
      more = step->more;
    } else {
      TRY(give_up_walk(txn, context, step.error()));
    }
  }
  const bool more_files = TRY(conversion_.step(txn, context));
  return more || more_files;
}

// Its rows do not hold; the others go on.
Result<void> Repair::give_up_walk(Transaction& txn, const OperationContext& context,
                                  const Error& error) {
  const auto rows = TRY(txn.rows<tables::Walks>(InodeId{}, InodeId{UINT64_MAX}, 1));
  if (rows.empty()) return {};
  const InodeId directory = rows.front().key;
  log_error("repair", "the files in directory {} keep their number of copies: {}",
            directory.value(), error.to_string());
  return ops::forget_walk(txn, context.totals, directory);
}

Result<bool> Repair::is_filled(Transaction& txn, GroupId group, ServerId server) {
  const auto care = cares_.find(server);
  if (care == cares_.end()) return false;  // it has not asked yet
  if (!care->second.lists.has_compared(group, cluster_.member_since(group, server))) {
    care->second.lists.want(group);
    return false;
  }
  const auto rows = TRY(txn.rows<tables::Missing>({server, first_chunk_of(group)},
                                                  {server, end_of_group(group)},
                                                  kLostRowsMax));
  return rows.size() < kLostRowsMax && std::all_of(rows.begin(), rows.end(), [&](const auto& row) {
           return queue_.lost().contains(row.key.chunk);
         });
}

Result<bool> Repair::purge_some(Transaction& txn) {
  if (to_purge_.empty()) return false;
  const auto [group, server] = to_purge_.front();
  std::size_t count = 0;
  if (cluster_.member(group, server) == nullptr) {  // not again
    const auto rows = TRY(txn.rows<tables::Missing>({server, first_chunk_of(group)},
                                                    {server, end_of_group(group)},
                                                    kPurgedAtOnce));
    for (const auto& row : rows)
      TRY(ops::forget_missing(txn, row_.totals(), server, row.key.chunk));
    count = rows.size();
  }
  // A refused batch leaves the rows; the next start finds them.
  if (count < kPurgedAtOnce) to_purge_.pop_front();
  return !to_purge_.empty();
}

}  // namespace dfs
