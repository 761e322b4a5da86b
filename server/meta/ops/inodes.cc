#include "server/meta/ops/inodes.h"

#include "server/meta/ops/extent_map.h"
#include "server/meta/ops/operations.h"

namespace dfs {
namespace {

// A directory's size says how many names it has, in steps that people know.
constexpr std::uint64_t kDirectoryStep = 4096;
constexpr std::uint64_t kEntriesPerStep = 128;

}  // namespace

Attributes attributes_of(InodeId inode, const InodeRecord& record) {
  Attributes attributes;
  attributes.inode = inode;
  attributes.type = record.type;
  attributes.mode = record.mode;
  attributes.uid = record.uid;
  attributes.gid = record.gid;
  attributes.nlink = record.nlink;
  attributes.size = record.is_directory()
                        ? kDirectoryStep * (1 + record.entries / kEntriesPerStep)
                        : record.size;
  attributes.rdev = record.rdev;
  attributes.atime = record.atime;
  attributes.mtime = record.mtime;
  attributes.ctime = record.ctime;
  attributes.btime = record.btime;
  attributes.allocated = record.allocated;
  attributes.generation = record.generation;
  attributes.change = record.change;
  attributes.data_change = record.data_change;
  // A regular file's record names the policy that holds for it, inherited or
  // not: create and set_policy write it there.
  attributes.chunk_size = record.is_regular() ? record.chunk_size : 0;
  attributes.replicas = record.is_regular() ? record.replicas : 0;
  attributes.xattrs = record.xattrs;
  attributes.consistency = record.consistency;
  return attributes;
}

namespace ops {
namespace {

// Without a name and without a holder it is only waiting to be purged.
bool is_gone(const OperationContext& context, InodeId inode, const InodeRecord* record) {
  return record == nullptr || (record->nlink == 0 && !context.held.is_held(inode));
}

// Everything of the inode but, perhaps, some of its extents.
Result<Purge> purge(Transaction& txn, const OperationContext& context, InodeId inode,
                    InodeRecord& record) {
  const Purge extents = TRY(drop_extents(txn, context, inode, record, kPurgeExtentsMax));
  if (extents == Purge::more) return Purge::more;
  if (record.xattrs > 0) {
    const std::vector<Row<tables::Xattrs>> xattrs = TRY(txn.rows<tables::Xattrs>(
        {inode, {}}, {InodeId{inode.value() + 1}, {}}, kXattrsMax));
    for (const auto& row : xattrs) txn.erase<tables::Xattrs>(row.key);
  }
  txn.erase<tables::Inodes>(inode);
  --context.totals.inodes;
  return Purge::done;
}

}  // namespace

Result<const InodeRecord*> find_inode(Transaction& txn, const OperationContext& context,
                                      InodeId inode) {
  const InodeRecord* record = TRY(txn.find<tables::Inodes>(inode));
  if (is_gone(context, inode, record)) return fail(Errc::stale);
  return record;
}

Result<InodeRecord*> edit_inode(Transaction& txn, const OperationContext& context, InodeId inode) {
  InodeRecord* record = TRY(txn.edit<tables::Inodes>(inode));
  if (is_gone(context, inode, record)) return fail(Errc::stale);
  return record;
}

Result<void> name_lost(Transaction& txn, const OperationContext& context, InodeId inode,
                       InodeRecord& record, bool keep) {
  if (record.nlink > 0) return {};
  if (keep) context.held.may_be_held(inode);
  if (context.held.is_held(inode)) {
    txn.put<tables::Orphans>(inode, {context.now});
    return {};
  }
  const Purge purged = TRY(purge(txn, context, inode, record));
  if (purged == Purge::done) return {};
  txn.put<tables::Orphans>(inode, {context.now});
  context.unfinished.push_back(inode);
  return {};
}

}  // namespace ops

namespace {

Result<Purge> purge_orphan_row(Transaction& txn, const OperationContext& context, InodeId inode) {
  const OrphanRecord* orphan = TRY(txn.find<tables::Orphans>(inode));
  if (orphan == nullptr) return Purge::done;
  InodeRecord* record = TRY(txn.edit<tables::Inodes>(inode));
  if (record == nullptr)
    return fail(Errc::corrupt, "orphan " + std::to_string(inode.value()) + " has no inode");
  const Purge purged = TRY(ops::purge(txn, context, inode, *record));
  if (purged == Purge::done) txn.erase<tables::Orphans>(inode);
  return purged;
}

}  // namespace

Result<Purge> purge_orphan(Transaction& txn, const OperationContext& context, InodeId inode) {
  const Totals totals = context.totals;
  txn.begin_operation();
  Result<Purge> purged = purge_orphan_row(txn, context, inode);
  if (!purged) {
    txn.undo_operation();
    context.totals = totals;
  }
  return purged;
}

}  // namespace dfs
