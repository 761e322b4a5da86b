// get_attr, set_attr and touch.
#include "server/meta/ops/extent_map.h"
#include "server/meta/ops/inode_acl.h"
#include "server/meta/ops/inodes.h"
#include "server/meta/ops/operations.h"
#include "server/meta/ops/xattrs.h"

namespace dfs::ops {
namespace {

Result<void> check_size(const InodeRecord& record, std::uint64_t size) {
  if (record.is_directory()) return fail(Errc::is_directory);
  if (!record.is_regular()) return fail(Errc::invalid, "only a regular file has a size to set");
  if (size > kFileSizeMax) return fail(Errc::file_too_big);
  return {};
}

Result<void> set_owner_and_mode(Transaction& txn, const Caller& caller, const SetAttrArgs& args,
                                InodeRecord& record) {
  const bool changes_owner = args.uid || args.gid;
  if (args.uid) record.uid = *args.uid;
  if (args.gid) record.gid = *args.gid;
  if (changes_owner || args.size || args.clear_set_id)
    TRY(drop_capability(txn, args.inode, record));
  if (args.mode) return set_mode(txn, args.inode, record, *args.mode);
  if (args.clear_set_id || (changes_owner && caller.uid != 0)) clear_set_id_bits(record);
  return {};
}

}  // namespace

Result<AttributesResult> get_attr(Transaction& txn, const OperationContext& context,
                                  const GetAttrArgs& args) {
  const InodeRecord* record = TRY(find_inode(txn, context, args.inode));
  return AttributesResult{attributes_of(args.inode, *record)};
}

Result<AttributesResult> set_attr(Transaction& txn, const OperationContext& context,
                                  const SetAttrArgs& args) {
  InodeRecord* record = TRY(edit_inode(txn, context, args.inode));
  if (args.size) {
    TRY(check_size(*record, *args.size));
    if (*args.size != record->size) {
      TRY(resize(txn, context, args.inode, *record, *args.size));
      ++record->data_change;
    }
    record->mtime = context.now;
  }
  TRY(set_owner_and_mode(txn, context.caller, args, *record));
  if (args.atime_now) record->atime = context.now;
  if (args.mtime_now) record->mtime = context.now;
  if (args.atime) record->atime = *args.atime;
  if (args.mtime) record->mtime = *args.mtime;
  attributes_changed(*record, context.now);
  if (args.ctime) record->ctime = *args.ctime;
  return AttributesResult{attributes_of(args.inode, *record)};
}

// No change that anybody's cache would have to notice: `change` stays, and who
// asks for the attributes next is told.
Result<EmptyResult> touch(Transaction& txn, const OperationContext& context,
                          const TouchArgs& args) {
  // Reading neither takes the last of the disk nor fails for it.
  if (!check_room(context)) return EmptyResult{};
  for (const AccessTime& time : args.times) {
    Result<const InodeRecord*> found = find_inode(txn, context, time.inode);
    if (!found && found.error().code == Errc::stale) continue;
    const InodeRecord* record = TRY(std::move(found));
    if (record->atime != time.seen) continue;
    InodeRecord* changed = TRY(edit_inode(txn, context, time.inode));
    changed->atime = time.accessed;
  }
  return EmptyResult{};
}

}  // namespace dfs::ops
