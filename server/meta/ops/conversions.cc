#include "server/meta/ops/conversions.h"

#include <algorithm>

namespace dfs::ops {
namespace {

void add_bytes(Totals& totals, std::uint64_t before, std::uint64_t now) {
  totals.conversion_bytes -= std::min(totals.conversion_bytes, before);
  totals.conversion_bytes += now;
}

}  // namespace

Result<void> note_conversion(Transaction& txn, Totals& totals, InodeId inode,
                             const InodeRecord& file) {
  if (file.allocated == 0) return {};
  const ConversionRecord* known = TRY(txn.find<tables::Conversions>(inode));
  if (known == nullptr) ++totals.conversions;
  add_bytes(totals, known == nullptr ? 0 : known->bytes, file.allocated);
  txn.put<tables::Conversions>(inode, {.position = 0, .bytes = file.allocated});
  return {};
}

Result<void> advance_conversion(Transaction& txn, Totals& totals, InodeId inode,
                                const ConversionRecord& record) {
  const ConversionRecord* known = TRY(txn.find<tables::Conversions>(inode));
  if (known == nullptr) return fail(Errc::internal, "a conversion goes on that has no row");
  add_bytes(totals, known->bytes, record.bytes);
  txn.put<tables::Conversions>(inode, record);
  return {};
}

Result<void> forget_conversion(Transaction& txn, Totals& totals, InodeId inode) {
  const ConversionRecord* known = TRY(txn.find<tables::Conversions>(inode));
  if (known == nullptr) return {};
  totals.conversions -= std::min<std::uint64_t>(totals.conversions, 1);
  add_bytes(totals, known->bytes, 0);
  txn.erase<tables::Conversions>(inode);
  return {};
}

Result<void> note_walk(Transaction& txn, Totals& totals, InodeId directory) {
  const WalkRecord* known = TRY(txn.find<tables::Walks>(directory));
  if (known == nullptr) ++totals.walks;
  txn.put<tables::Walks>(directory, {.cookie = 0});
  return {};
}

Result<void> forget_walk(Transaction& txn, Totals& totals, InodeId directory) {
  const WalkRecord* known = TRY(txn.find<tables::Walks>(directory));
  if (known == nullptr) return {};
  totals.walks -= std::min<std::uint64_t>(totals.walks, 1);
  txn.erase<tables::Walks>(directory);
  return {};
}

Result<bool> keep_in_copies(Transaction& txn, const OperationContext& context, InodeId inode,
                            InodeRecord& file, std::uint32_t replicas) {
  if (file.replicas == replicas) return false;
  file.replicas = replicas;
  ++file.change;
  TRY(note_conversion(txn, context.totals, inode, file));
  return true;
}

Result<void> moved_between(Transaction& txn, const OperationContext& context, InodeId inode,
                           InodeRecord& record, InodeId from, InodeId to) {
  if (from == to) return {};
  const Policy before = TRY(effective_policy(txn, context, from));
  const Policy now = TRY(effective_policy(txn, context, to));
  // What a file says of itself stays where the same is asked for.
  if (before.replicas == now.replicas && context.totals.walks == 0) return {};
  if (record.is_regular()) {
    (void)TRY(keep_in_copies(txn, context, inode, record, now.replicas));
    return {};
  }
  if (!record.is_directory() || record.replicas != 0) return {};
  return note_walk(txn, context.totals, inode);
}

Result<void> check_copies(Transaction& txn, const OperationContext& context, InodeId inode,
                          const InodeRecord& file, const std::vector<Extent>& extents) {
  GroupId right;  // of the extents before; 0 is no group's id
  for (const Extent& extent : extents) {
    const GroupId group = extent.chunk.group();
    if (group == right) continue;
    const std::uint32_t replicas = context.groups.replicas_of(group);
    if (replicas != 0 && replicas != file.replicas)
      return note_conversion(txn, context.totals, inode, file);
    right = group;
  }
  return {};
}

}  // namespace dfs::ops
