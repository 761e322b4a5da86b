#include "server/meta/core/cluster_row.h"

#include <algorithm>

namespace dfs {
namespace {

// More are not made between two syncs of the log.
constexpr std::uint64_t kInodesNotStable = std::uint64_t{1} << 24;
constexpr std::uint64_t kSessionsNotStable = std::uint64_t{1} << 20;
constexpr std::uint64_t kTablesNotStable = std::uint64_t{1} << 20;

// The id to give now; `next` moves on.
template <typename Id>
Id take_next(Id& next) {
  const Id id = next;
  next = Id{static_cast<typename Id::Value>(id.value() + 1)};
  return id;
}

}  // namespace

void ClusterRow::begin_life() {
  changed_ = true;
  if (record_.starts++ == 0) return;
  record_.next_inode = InodeId{record_.next_inode.value() + kInodesNotStable};
  record_.generation += kInodesNotStable;
  record_.next_session = SessionId{record_.next_session.value() + kSessionsNotStable};
  // Who is alive is in the table and in no batch: what an earlier life said of that
  // under the same version is not what this one begins with.
  record_.group_table_version += kTablesNotStable;
}

InodeName ClusterRow::next_inode() {
  changed_ = true;
  return {take_next(record_.next_inode), ++record_.generation};
}

ServerId ClusterRow::next_server() {
  changed_ = true;
  return take_next(record_.next_server);
}

GroupId ClusterRow::next_group() {
  changed_ = true;
  return take_next(record_.next_group);
}

SessionId ClusterRow::next_session() {
  changed_ = true;
  return take_next(record_.next_session);
}

void ClusterRow::bump_group_table_version() {
  changed_ = true;
  ++record_.group_table_version;
}

void ClusterRow::raise_ids(const ClusterRecord& least) {
  changed_ = true;
  record_.next_inode = std::max(record_.next_inode, least.next_inode);
  record_.next_server = std::max(record_.next_server, least.next_server);
  record_.next_group = std::max(record_.next_group, least.next_group);
  record_.next_session = std::max(record_.next_session, least.next_session);
}

void ClusterRow::write_to(Transaction& txn) {
  if (!changed_ && totals_ == totals_of(stored_)) return;
  record_.inodes = totals_.inodes;
  record_.chunks = totals_.chunks;
  record_.chunk_bytes = totals_.chunk_bytes;
  record_.missing = totals_.missing;
  record_.missing_bytes = totals_.missing_bytes;
  record_.garbage = totals_.garbage;
  record_.walks = totals_.walks;
  record_.conversions = totals_.conversions;
  record_.conversion_bytes = totals_.conversion_bytes;
  txn.put<tables::Cluster>(ClusterKey{}, record_);
}

void ClusterRow::keep() {
  if (!changed_ && totals_ == totals_of(stored_)) return;
  stored_ = record_;
  changed_ = false;
}

void ClusterRow::undo() {
  const InodeId next_inode = record_.next_inode;
  const std::uint64_t generation = record_.generation;
  const std::uint64_t group_table_version = record_.group_table_version;
  const std::uint64_t starts = record_.starts;
  record_ = stored_;
  record_.next_inode = next_inode;
  record_.generation = generation;
  record_.group_table_version = group_table_version;
  record_.starts = starts;
  totals_ = totals_of(stored_);
  changed_ = record_.starts != stored_.starts;
}

}  // namespace dfs
