// unlink and rmdir.
#include "server/meta/ops/directory.h"
#include "server/meta/ops/inodes.h"
#include "server/meta/ops/names.h"
#include "server/meta/ops/operations.h"

namespace dfs::ops {
namespace {

Result<void> check_dots(const UnlinkArgs& args) {
  if (!is_dots(args.name)) return {};
  if (!args.directory) return fail(Errc::is_directory);
  if (args.name == "..") return fail(Errc::not_empty);
  return fail(Errc::invalid);
}

Result<void> check_removable(const InodeRecord& record, bool directory) {
  if (!directory && record.is_directory()) return fail(Errc::is_directory);
  if (directory && !record.is_directory()) return fail(Errc::not_directory);
  if (record.entries > 0) return fail(Errc::not_empty);
  return {};
}

}  // namespace

Result<RemovedResult> unlink(Transaction& txn, const OperationContext& context,
                             const UnlinkArgs& args) {
  TRY(check_name(args.name));
  TRY(check_dots(args));
  InodeRecord* directory = TRY(edit_directory(txn, context, args.parent));
  const DirentRecord* entry = TRY(find_entry(txn, args.parent, args.name));
  if (entry == nullptr) return fail(Errc::not_found);
  const InodeId inode = entry->inode;
  InodeRecord* record = TRY(edit_inode(txn, context, inode));
  TRY(check_removable(*record, args.directory));

  remove_entry(txn, context, args.parent, *directory, args.name, *entry);
  record->nlink = record->is_directory() ? 0 : record->nlink - 1;
  attributes_changed(*record, context.now);
  RemovedResult result;
  result.removed = attributes_of(inode, *record);
  result.parent = attributes_of(args.parent, *directory);
  TRY(name_lost(txn, context, inode, *record, args.keep));
  return result;
}

}  // namespace dfs::ops
