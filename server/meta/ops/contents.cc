// lookup, readlink and read_dir: what a directory or a link contains.
#include <algorithm>

#include "common/rpc/protocol.h"
#include "server/meta/ops/directory.h"
#include "server/meta/ops/inodes.h"
#include "server/meta/ops/names.h"
#include "server/meta/ops/operations.h"

namespace dfs::ops {
namespace {

// What an entry leads to is always there, whoever holds it.
Result<const InodeRecord*> inode_of_entry(Transaction& txn, InodeId inode) {
  const InodeRecord* record = TRY(txn.find<tables::Inodes>(inode));
  if (record == nullptr)
    return fail(Errc::corrupt,
                "a directory names inode " + std::to_string(inode.value()) + ", which is missing");
  return record;
}

EntryResult absent() {
  EntryResult result;
  result.absent = true;
  return result;
}

}  // namespace

Result<EntryResult> lookup(Transaction& txn, const OperationContext& context,
                           const LookupArgs& args) {
  TRY(check_name(args.name));
  const InodeRecord* directory = TRY(find_directory(txn, context, args.parent));
  InodeId inode = args.parent;
  if (args.name == "..") {
    inode = directory->parent;
  } else if (args.name != ".") {
    const DirentRecord* entry = TRY(find_entry(txn, args.parent, args.name));
    if (entry == nullptr && args.may_be_absent) return absent();
    if (entry == nullptr) return fail(Errc::not_found);
    inode = entry->inode;
  }
  const InodeRecord* record = TRY(inode_of_entry(txn, inode));
  return EntryResult{attributes_of(inode, *record), std::nullopt};
}

Result<ReadlinkResult> readlink(Transaction& txn, const OperationContext& context,
                                const ReadlinkArgs& args) {
  const InodeRecord* record = TRY(find_inode(txn, context, args.inode));
  if (record->type != FileType::symlink) return fail(Errc::invalid);
  return ReadlinkResult{record->target};
}

Result<ReadDirResult> read_dir(Transaction& txn, const OperationContext& context,
                               const ReadDirArgs& args) {
  const InodeRecord* directory = TRY(find_directory(txn, context, args.inode));
  ReadDirResult result;
  result.parent = directory->parent;
  const std::uint64_t next_cookie = directory->next_cookie;
  if (directory->entries == 0 || args.cookie >= next_cookie - 1) {
    result.end = true;
    return result;
  }
  const std::size_t wanted = std::clamp(args.entries_max, 1U, kEntriesPerReplyMax);
  std::vector<Row<tables::Listing>> rows = TRY(txn.rows<tables::Listing>(
      {args.inode, args.cookie + 1}, {args.inode, next_cookie}, wanted));
  result.end = rows.size() < wanted || rows.back().key.cookie == next_cookie - 1;
  result.entries.reserve(rows.size());
  for (auto& row : rows) {
    const InodeRecord* record = TRY(inode_of_entry(txn, row.record.inode));
    result.entries.push_back({std::move(row.record.name),
                              attributes_of(row.record.inode, *record), row.key.cookie});
  }
  return result;
}

}  // namespace dfs::ops
