// open and get_extents.
#include <algorithm>

#include "common/rpc/protocol.h"
#include "server/meta/ops/extent_map.h"
#include "server/meta/ops/inodes.h"
#include "server/meta/ops/operations.h"
#include "server/meta/ops/xattrs.h"

namespace dfs::ops {
namespace {

Result<void> truncate_to_nothing(Transaction& txn, const OperationContext& context,
                                 InodeId inode) {
  InodeRecord* record = TRY(edit_inode(txn, context, inode));
  if (record->is_directory()) return fail(Errc::is_directory);
  if (!record->is_regular()) return fail(Errc::invalid, "only a regular file can be truncated");
  if (record->size > 0) {
    TRY(resize(txn, context, inode, *record, 0));
    ++record->data_change;
  }
  TRY(drop_capability(txn, inode, *record));
  record->mtime = context.now;
  attributes_changed(*record, context.now);
  return {};
}

}  // namespace

Result<OpenResult> open(Transaction& txn, const OperationContext& context, const OpenArgs& args) {
  if (args.truncate) TRY(truncate_to_nothing(txn, context, args.inode));
  const InodeRecord* record = TRY(find_inode(txn, context, args.inode));
  OpenResult result;
  result.attributes = attributes_of(args.inode, *record);
  ExtentPage page = TRY(read_extents(txn, args.inode, *record, {0, kFileSizeMax}, kExtentsPerOpen));
  result.extents = std::move(page.extents);
  result.extents_complete = page.complete;
  return result;
}

Result<ExtentsResult> get_extents(Transaction& txn, const OperationContext& context,
                                  const GetExtentsArgs& args) {
  const InodeRecord* record = TRY(find_inode(txn, context, args.inode));
  const std::size_t wanted = std::clamp(args.extents_max, 1U, kExtentsPerReplyMax);
  ExtentPage page =
      TRY(read_extents(txn, args.inode, *record, {args.offset, kFileSizeMax}, wanted));
  return ExtentsResult{std::move(page.extents), page.complete, record->data_change};
}

}  // namespace dfs::ops
