#include "server/meta/ops/xattrs.h"

#include <utility>

#include "server/meta/ops/operations.h"

namespace dfs::ops {

Result<const XattrRecord*> find_xattr(Transaction& txn, InodeId inode, const InodeRecord& record,
                                      std::string_view name) {
  if (record.xattrs == 0) return nullptr;
  return txn.find<tables::Xattrs>({inode, name});
}

Result<void> put_xattr(Transaction& txn, InodeId inode, InodeRecord& record,
                       std::string_view name, std::string value) {
  const XattrRecord* present = TRY(find_xattr(txn, inode, record, name));
  if (present == nullptr) {
    if (record.xattrs >= kXattrsMax) return fail(Errc::no_space);
    ++record.xattrs;
  }
  txn.put<tables::Xattrs>({inode, name}, {std::move(value)});
  return {};
}

Result<bool> erase_xattr(Transaction& txn, InodeId inode, InodeRecord& record,
                         std::string_view name) {
  const XattrRecord* present = TRY(find_xattr(txn, inode, record, name));
  if (present == nullptr) return false;
  txn.erase<tables::Xattrs>({inode, name});
  --record.xattrs;
  return true;
}

Result<void> drop_capability(Transaction& txn, InodeId inode, InodeRecord& record) {
  TRY(erase_xattr(txn, inode, record, kCapabilityName));
  return {};
}

}  // namespace dfs::ops
