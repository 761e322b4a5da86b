#include "server/meta/cluster/garbage.h"

#include <algorithm>

namespace dfs {
namespace {

constexpr std::size_t kRowsAtOnce = 512;

ChunkId first_of(GroupId group) { return ChunkId{group, 0}; }
ChunkId end_of(GroupId group) { return ChunkId{GroupId{group.value() + 1}, 0}; }
ChunkId following(ChunkId chunk) { return ChunkId{chunk.value() + 1}; }

bool names(const GarbageRecord& record, ServerId server) {
  return std::find(record.servers.begin(), record.servers.end(), server) != record.servers.end();
}

}  // namespace

Result<std::size_t> GarbageCollector::acknowledge(Transaction& txn, ServerId server,
                                                  const std::vector<ChunkId>& chunks) {
  std::size_t remaining = 0;
  for (const ChunkId chunk : chunks) {
    const GarbageRecord* found = TRY(txn.find<tables::Garbage>(chunk));
    if (found == nullptr || !names(*found, server)) continue;
    if (found->servers.size() == 1) {
      txn.erase<tables::Garbage>(chunk);
      continue;
    }
    GarbageRecord* record = TRY(txn.edit<tables::Garbage>(chunk));
    std::erase(record->servers, server);
    ++remaining;
  }
  return remaining;
}

Result<GarbageCollector::Batch> GarbageCollector::next(Transaction& txn, ServerId server,
                                                       const std::vector<GroupId>& groups) {
  Batch batch;
  std::size_t examined = 0;
  ChunkId& cursor = cursors_[server];
  for (const GroupId group : groups) {
    ChunkId from = std::max(cursor, first_of(group));
    while (from < end_of(group)) {
      const auto rows = TRY(txn.rows<tables::Garbage>(from, end_of(group), kRowsAtOnce));
      for (const auto& row : rows) {
        if (names(row.record, server)) batch.chunks.push_back(row.key);
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
