#include "server/meta/cluster/garbage.h"

#include <algorithm>

namespace dfs {
namespace {

constexpr std::size_t kRowsAtOnce = 512;

bool names(const GarbageRecord& record, ServerId server) {
  return std::find(record.servers.begin(), record.servers.end(), server) != record.servers.end();
}

}  // namespace

Result<void> GarbageCollector::acknowledge(Transaction& txn, Totals& totals, ServerId server,
                                           const std::vector<ChunkId>& chunks) {
  for (const ChunkId chunk : chunks) {
    const GarbageRecord* found = TRY(txn.find<tables::Garbage>(chunk));
    if (found == nullptr || !names(*found, server)) continue;
    if (found->servers.size() == 1) {
      --totals.garbage;
      txn.erase<tables::Garbage>(chunk);
      continue;
    }
    GarbageRecord* record = TRY(txn.edit<tables::Garbage>(chunk));
    std::erase(record->servers, server);
  }
  return {};
}

Result<bool> GarbageCollector::drop_strangers(Transaction& txn, Totals& totals,
                                              const std::vector<ServerId>& members,
                                              const Row<tables::Garbage>& row) {
  const auto is_stranger = [&](ServerId server) {
    return std::find(members.begin(), members.end(), server) == members.end();
  };
  const auto& servers = row.record.servers;
  if (std::none_of(servers.begin(), servers.end(), is_stranger)) return true;
  if (std::all_of(servers.begin(), servers.end(), is_stranger)) {
    --totals.garbage;
    txn.erase<tables::Garbage>(row.key);
    return false;
  }
  GarbageRecord* record = TRY(txn.edit<tables::Garbage>(row.key));
  std::erase_if(record->servers, is_stranger);
  return true;
}

void GarbageCollector::hold(ChunkId chunk, SteadyTime until, SteadyTime now) {
  std::erase_if(held_, [&](const auto& entry) { return entry.second <= now; });
  held_[chunk] = until;
}

Result<GarbageCollector::Batch> GarbageCollector::next(Transaction& txn, Totals& totals,
                                                       const GroupDirectory& directory,
                                                       ServerId server,
                                                       const std::vector<GroupId>& groups,
                                                       SteadyTime now) {
  Batch batch;
  std::size_t examined = 0;
  ChunkId& cursor = cursors_[server];
  for (const GroupId group : groups) {
    ChunkId from = std::max(cursor, first_chunk_of(group));
    const std::vector<ServerId> members = directory.members_of(group);
    while (from < end_of_group(group)) {
      const auto rows = TRY(txn.rows<tables::Garbage>(from, end_of_group(group), kRowsAtOnce));
      for (const auto& row : rows) {
        const bool waits = TRY(drop_strangers(txn, totals, members, row));
        const auto held = held_.find(row.key);
        const bool may_go = held == held_.end() || now >= held->second;
        if (waits && may_go && names(row.record, server)) batch.chunks.push_back(row.key);
        cursor = following(row.key);
        ++examined;
        if (batch.chunks.size() < kGarbageChunksMax && examined < kGarbageExaminedMax) continue;
        batch.more = !batch.chunks.empty();
        return batch;
      }
      if (rows.size() < kRowsAtOnce) break;
      from = cursor;
    }
  }
  cursor = ChunkId{};  // round once: from the start next time
  return batch;
}

}  // namespace dfs
