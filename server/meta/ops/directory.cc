#include "server/meta/ops/directory.h"

#include <limits>
#include <string>

#include "server/meta/ops/inodes.h"

namespace dfs::ops {
namespace {

Result<void> count_subdirectory(InodeRecord& directory, FileType type) {
  if (type != FileType::directory) return {};
  if (directory.nlink == std::numeric_limits<std::uint32_t>::max())
    return fail(Errc::too_many_links);
  ++directory.nlink;
  return {};
}
void discount_subdirectory(InodeRecord& directory, FileType type) {
  if (type == FileType::directory) --directory.nlink;
}

void put_entry(Transaction& txn, InodeId parent, std::string_view name, Target target,
               std::uint64_t cookie) {
  txn.put<tables::Dirents>({parent, name}, {target.inode, target.type, cookie});
  txn.put<tables::Listing>({parent, cookie}, {target.inode, target.type, std::string(name)});
}

}  // namespace

Result<const InodeRecord*> find_directory(Transaction& txn, const OperationContext& context,
                                          InodeId inode) {
  const InodeRecord* record = TRY(find_inode(txn, context, inode));
  if (!record->is_directory()) return fail(Errc::not_directory);
  return record;
}

Result<InodeRecord*> edit_directory(Transaction& txn, const OperationContext& context,
                                    InodeId inode) {
  InodeRecord* record = TRY(edit_inode(txn, context, inode));
  if (!record->is_directory()) return fail(Errc::not_directory);
  if (record->nlink == 0) return fail(Errc::not_found, "the directory has been removed");
  return record;
}

Result<const DirentRecord*> find_entry(Transaction& txn, InodeId parent, std::string_view name) {
  return txn.find<tables::Dirents>({parent, name});
}

Result<void> add_entry(Transaction& txn, const OperationContext& context, InodeId parent,
                       InodeRecord& directory, std::string_view name, Target target) {
  TRY(count_subdirectory(directory, target.type));
  put_entry(txn, parent, name, target, directory.next_cookie++);
  ++directory.entries;
  contents_changed(directory, context.now);
  return {};
}

void remove_entry(Transaction& txn, const OperationContext& context, InodeId parent,
                  InodeRecord& directory, std::string_view name, const DirentRecord& entry) {
  discount_subdirectory(directory, entry.type);
  txn.erase<tables::Listing>({parent, entry.cookie});
  txn.erase<tables::Dirents>({parent, name});
  --directory.entries;
  contents_changed(directory, context.now);
}

void rename_entry(Transaction& txn, const OperationContext& context, InodeId parent,
                  InodeRecord& directory, std::string_view name, std::string_view new_name,
                  const DirentRecord& entry) {
  const Target target{entry.inode, entry.type};
  const std::uint64_t cookie = entry.cookie;
  txn.erase<tables::Dirents>({parent, name});
  put_entry(txn, parent, new_name, target, cookie);
  contents_changed(directory, context.now);
}

Result<void> redirect_entry(Transaction& txn, const OperationContext& context, InodeId parent,
                            InodeRecord& directory, std::string_view name,
                            const DirentRecord& entry, Target target) {
  discount_subdirectory(directory, entry.type);
  TRY(count_subdirectory(directory, target.type));
  put_entry(txn, parent, name, target, entry.cookie);
  contents_changed(directory, context.now);
  return {};
}

}  // namespace dfs::ops
