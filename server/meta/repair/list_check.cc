#include "server/meta/repair/list_check.h"

#include <algorithm>
#include <utility>

#include "server/meta/ops/missing_copies.h"

namespace dfs {
namespace {

class ListCheck {
 public:
  ListCheck(Transaction& txn, Totals& totals, Cluster& cluster, ServerId server, GroupId group)
      : txn_(txn),
        totals_(totals),
        cluster_(cluster),
        server_(server),
        group_(group),
        member_(cluster.member(group, server)) {}

  Result<ListFindings> run(const ListedChunks& listed) {
    const auto used = TRY(txn_.rows<tables::Chunks>(listed.first, listed.end, kListRowsMax));
    const bool cut = used.size() == kListRowsMax;
    findings_.checked_to = cut ? following(used.back().key) : listed.end;
    if (!listed.chunks) {
      if (!cut && member_ != nullptr && checksum_of_list(keys(used)) == listed.checksum)
        return std::move(findings_);
      findings_.checked_to = listed.first;
      findings_.names_wanted = true;
      return std::move(findings_);
    }
    auto row = used.begin();
    for (const ChunkId chunk : *listed.chunks) {
      if (chunk >= findings_.checked_to) break;
      for (; row != used.end() && row->key < chunk; ++row) TRY(lacks(*row));
      if (row != used.end() && row->key == chunk) {
        TRY(has(*row));
        ++row;
      } else {
        TRY(has_unused(chunk));
      }
    }
    for (; row != used.end(); ++row) TRY(lacks(*row));
    return std::move(findings_);
  }

 private:
  using Used = Row<tables::Chunks>;

  static std::vector<ChunkId> keys(const std::vector<Used>& rows) {
    std::vector<ChunkId> keys;
    keys.reserve(rows.size());
    for (const Used& row : rows) keys.push_back(row.key);
    return keys;
  }

  Result<void> lacks(const Used& row) {
    if (member_ == nullptr || member_->state == MemberState::leaving) return {};
    ++findings_.missing;
    return ops::note_missing(txn_, totals_, server_, row.key, row.record.length);
  }

  Result<void> has(const Used& row) {
    if (member_ != nullptr) return {};
    const auto group = cluster_.groups().find(group_);
    if (group == cluster_.groups().end()) return {};
    if (cluster_.keeps_unknown()) return may_be_alone(row, group->second.group);
    bool whole = true;
    for (const GroupMember& member : group->second.group.members) {
      whole = whole && member.state == MemberState::active;
      const MissingRecord* missing =
          TRY(txn_.find<tables::Missing>(MissingKey{member.server, row.key}));
      if (missing == nullptr) continue;
      whole = false;
      TRY(ops::note_missing(txn_, totals_, member.server, row.key, row.record.length, server_));
    }
    if (whole) findings_.to_drop.push_back(row.key);
    return {};
  }

  // Memberships may have moved after the moment that the metadata is of: then it
  // is the members who lack the chunk, and nobody else knows where it is. They
  // look, and say if they have it.
  Result<void> may_be_alone(const Used& row, const Group& group) {
    for (const GroupMember& member : group.members)
      if (member.state != MemberState::leaving)
        TRY(ops::note_missing(txn_, totals_, member.server, row.key, row.record.length, server_));
    return {};
  }

  Result<void> has_unused(ChunkId chunk) {
    const GarbageRecord* garbage = TRY(txn_.find<tables::Garbage>(chunk));
    if (garbage == nullptr) {
      if (chunk.serial() >= cluster_.ripe_below(group_)) {
        ++findings_.unknown;
        return {};
      }
      TRY(cluster_.give_up_ripe(txn_, group_));
    }
    if (member_ == nullptr) {
      findings_.to_delete.push_back(chunk);
      return {};
    }
    ++findings_.garbage;
    if (garbage == nullptr) {
      ++totals_.garbage;
      txn_.put<tables::Garbage>(chunk, {cluster_.members_of(group_), 0});
      return {};
    }
    const auto& servers = garbage->servers;
    if (std::find(servers.begin(), servers.end(), server_) != servers.end()) return {};
    GarbageRecord* record = TRY(txn_.edit<tables::Garbage>(chunk));
    record->servers.push_back(server_);
    return {};
  }

  Transaction& txn_;
  Totals& totals_;
  Cluster& cluster_;
  const ServerId server_;
  const GroupId group_;
  const GroupMember* const member_;  // null: a stranger
  ListFindings findings_;
};

}  // namespace

Result<ListFindings> check_list(Transaction& txn, Totals& totals, Cluster& cluster,
                                ServerId server, const ListedChunks& listed) {
  return ListCheck(txn, totals, cluster, server, listed.first.group()).run(listed);
}

}  // namespace dfs
