#include "server/meta/ops/directory.h"
#include "server/meta/ops/inodes.h"
#include "server/meta/ops/names.h"
#include "server/meta/ops/operations.h"

namespace dfs::ops {
namespace {

// An inode without a name gets one only if it never had any.
Result<void> stop_being_orphan(Transaction& txn, InodeId inode) {
  const OrphanRecord* orphan = TRY(txn.find<tables::Orphans>(inode));
  if (orphan == nullptr || !orphan->unnamed) return fail(Errc::not_found, "it has no name any more");
  txn.erase<tables::Orphans>(inode);
  return {};
}

}  // namespace

Result<EntryResult> link(Transaction& txn, const OperationContext& context,
                         const LinkArgs& args) {
  TRY(check_name(args.new_name));
  if (is_dots(args.new_name)) return fail(Errc::exists);
  InodeRecord* record = TRY(edit_inode(txn, context, args.inode));
  if (record->is_directory()) return fail(Errc::not_permitted);
  if (record->nlink == 0) TRY(stop_being_orphan(txn, args.inode));
  if (record->nlink >= kLinkMax) return fail(Errc::too_many_links);
  InodeRecord* directory = TRY(edit_directory(txn, context, args.new_parent));
  const DirentRecord* entry = TRY(find_entry(txn, args.new_parent, args.new_name));
  if (entry != nullptr) return fail(Errc::exists);
  TRY(check_room(context));

  TRY(add_entry(txn, context, args.new_parent, *directory, args.new_name,
                {args.inode, record->type}));
  ++record->nlink;
  record->parent = args.new_parent;
  attributes_changed(*record, context.now);
  return EntryResult{attributes_of(args.inode, *record),
                     attributes_of(args.new_parent, *directory)};
}

}  // namespace dfs::ops
