#include "server/meta/repair/copy_queue.h"

#include <algorithm>
#include <utility>

#include "common/base/log.h"
#include "server/meta/ops/missing_copies.h"

namespace dfs {
namespace {

using namespace std::chrono_literals;

// Rows of one group that are compared with each other: a millisecond or two.
constexpr std::size_t kWindow = 512;
// Rows passed over because they wait.
constexpr std::size_t kDeferredMax = 4'096;
constexpr std::size_t kRowsAtOnce = 512;
constexpr auto kRetryAfter = 10s;

}  // namespace

Result<std::vector<CopyTask>> CopyQueue::next(Transaction& txn, Totals& totals, ServerId server) {
  std::vector<CopyTask> tasks;
  std::uint64_t bytes = 0;
  for (const GroupId group : groups_of(server)) {
    std::vector<Row> rows = TRY(look_at(txn, totals, server, group));
    std::stable_sort(rows.begin(), rows.end(),
                     [](const Row& a, const Row& b) { return a.copies < b.copies; });
    for (Row& row : rows) {
      if (tasks.size() >= kTasksMax || (bytes > 0 && bytes + row.record.length > kBytesMax))
        return tasks;
      bytes += row.record.length;
      tasks.push_back({row.chunk, std::move(row.record.sources), row.record.length});
    }
  }
  return tasks;
}

// Those it is to be filled for, with the fewest other live members first.
std::vector<GroupId> CopyQueue::groups_of(ServerId server) const {
  std::vector<std::pair<std::size_t, GroupId>> found;
  for (const auto& [id, known] : cluster_.groups()) {
    const GroupMember* mine = cluster_.member(id, server);
    if (mine == nullptr || mine->state == MemberState::leaving) continue;
    std::size_t live = 0;
    for (const GroupMember& member : known.group.members)
      live += member.server != server && cluster_.nodes().is_alive(member.server);
    found.emplace_back(live, id);
  }
  std::sort(found.begin(), found.end());
  std::vector<GroupId> groups;
  for (const auto& [live, id] : found) groups.push_back(id);
  return groups;
}

Result<std::vector<CopyQueue::Row>> CopyQueue::look_at(Transaction& txn, Totals& totals,
                                                       ServerId server, GroupId group) {
  std::vector<Row> found;
  MissingKey from{server, first_chunk_of(group)};
  const MissingKey end{server, end_of_group(group)};
  std::size_t waiting = 0;
  while (found.size() < kWindow && waiting < kDeferredMax) {
    auto rows = TRY(txn.rows<tables::Missing>(from, end, kRowsAtOnce));
    for (auto& row : rows) {
      if (found.size() == kWindow) break;
      const ChunkId chunk = row.key.chunk;
      const ChunkRecord* used = TRY(txn.find<tables::Chunks>(chunk));
      if (used == nullptr) {
        TRY(ops::forget_missing(txn, totals, server, chunk));
        deferred_.erase(row.key);
        lost_.found(chunk);
      } else if (is_deferred(row.key)) {
        ++waiting;
      } else {
        const std::size_t copies = TRY(live_copies(txn, server, chunk));
        found.push_back({chunk, std::move(row.record), copies});
      }
    }
    if (rows.size() < kRowsAtOnce) break;
    from.chunk = following(rows.back().key.chunk);
  }
  return found;
}

Result<std::size_t> CopyQueue::live_copies(Transaction& txn, ServerId server, ChunkId chunk) const {
  const auto group = cluster_.groups().find(chunk.group());
  std::size_t copies = 0;
  for (const GroupMember& member : group->second.group.members) {
    const bool counts = member.server != server && member.state != MemberState::joining &&
                        cluster_.nodes().is_alive(member.server);
    if (!counts) continue;
    const MissingRecord* lacks = TRY(txn.find<tables::Missing>(MissingKey{member.server, chunk}));
    if (lacks == nullptr) ++copies;
  }
  return copies;
}

bool CopyQueue::is_deferred(const MissingKey& key) const {
  const auto found = deferred_.find(key);
  return found != deferred_.end() && clock_.now() < found->second;
}

std::size_t CopyQueue::deferred() const {
  const SteadyTime now = clock_.now();
  return static_cast<std::size_t>(std::count_if(
      deferred_.begin(), deferred_.end(), [&](const auto& entry) { return now < entry.second; }));
}

Result<void> CopyQueue::copied(Transaction& txn, Totals& totals, ServerId server, ChunkId chunk) {
  TRY(ops::forget_missing(txn, totals, server, chunk));
  deferred_.erase({server, chunk});
  if (lost_.found(chunk))
    log_info("repair", "chunk {} is there again, on storage server {}", to_string(chunk),
             server.value());
  return {};
}

void CopyQueue::failed(ServerId server, const CopyFailure& failure) {
  const SteadyTime now = clock_.now();
  if (deferred_.size() >= kDeferredMax)
    std::erase_if(deferred_, [&](const auto& entry) { return entry.second <= now; });
  // One that does not fit in is tried again soon.
  if (deferred_.size() < kDeferredMax)
    deferred_.insert_or_assign({server, failure.chunk}, now + kRetryAfter);
  if (failure.nowhere && lost_.add(failure.chunk))
    log_error("repair", "chunk {} is lost: no member of group {} has a good copy ({})",
              to_string(failure.chunk), failure.chunk.group().value(), failure.why);
}

}  // namespace dfs
