#include "server/meta/ops/inode_acl.h"

#include <utility>

#include "server/meta/ops/inodes.h"
#include "server/meta/ops/xattrs.h"

namespace dfs::ops {
namespace {

constexpr std::uint32_t kPermissions = 0777;

std::uint32_t with_permissions(std::uint32_t mode, const Acl& acl) {
  return (mode & ~kPermissions) | acl.mode_bits();
}

Result<void> set_access_acl(Transaction& txn, InodeId inode, InodeRecord& record, const Acl& acl) {
  record.mode = with_permissions(record.mode, acl);
  if (!acl.is_minimal()) return put_xattr(txn, inode, record, kAccessAclName, acl.to_value());
  TRY(erase_xattr(txn, inode, record, kAccessAclName));
  return {};
}

}  // namespace

Result<void> set_acl(Transaction& txn, const SetXattrArgs& args, InodeRecord& record) {
  if (record.type == FileType::symlink) return fail(Errc::unsupported, "a symlink has no list");
  const Acl acl = TRY(Acl::parse(args.value));
  if (args.name == kAccessAclName) {
    if (args.clear_set_gid) record.mode &= ~kSetGid;
    return set_access_acl(txn, args.inode, record, acl);
  }
  if (!record.is_directory()) return fail(Errc::access, "only directories have a default list");
  return put_xattr(txn, args.inode, record, kDefaultAclName, acl.to_value());
}

Result<void> set_mode(Transaction& txn, InodeId inode, InodeRecord& record, std::uint32_t mode) {
  record.mode = mode & kModeBits;
  const XattrRecord* present = TRY(find_xattr(txn, inode, record, kAccessAclName));
  if (present == nullptr) return {};
  Acl acl = TRY(Acl::parse(present->value));
  acl.set_mode_bits(mode);
  return put_xattr(txn, inode, record, kAccessAclName, acl.to_value());
}

Result<Inherited> inherit(Transaction& txn, const CreateArgs& args,
                          const InodeRecord& directory) {
  Inherited inherited;
  inherited.mode = args.mode & kModeBits;
  const XattrRecord* present = TRY(find_xattr(txn, args.parent, directory, kDefaultAclName));
  if (present == nullptr) {
    inherited.mode &= ~args.umask;
    return inherited;
  }
  Acl acl = TRY(Acl::parse(present->value));
  if (args.type == FileType::directory) inherited.default_acl = present->value;
  acl.restrict_to(args.mode);
  inherited.mode = with_permissions(inherited.mode, acl);
  if (!acl.is_minimal()) inherited.access_acl = acl.to_value();
  return inherited;
}

Result<void> put_inherited(Transaction& txn, InodeId inode, InodeRecord& record,
                           Inherited inherited) {
  if (inherited.access_acl)
    TRY(put_xattr(txn, inode, record, kAccessAclName, *std::move(inherited.access_acl)));
  if (inherited.default_acl)
    TRY(put_xattr(txn, inode, record, kDefaultAclName, *std::move(inherited.default_acl)));
  return {};
}

}  // namespace dfs::ops
