// Extended attributes: set, get, list, remove. One is no row but a part of the
// inode, always there: what mounts may assume of it (common/rpc/consistency.h).
#include "common/rpc/consistency.h"
#include "server/meta/ops/inode_acl.h"
#include "server/meta/ops/inodes.h"
#include "server/meta/ops/operations.h"
#include "server/meta/ops/xattrs.h"

namespace dfs::ops {
namespace {

Result<void> check_xattr_name(std::string_view name) {
  if (name.empty() || name.size() > kXattrNameMax) return fail(Errc::range);
  if (name.find('\0') != std::string_view::npos)
    return fail(Errc::invalid, "an attribute's name contains NUL");
  if (name.rfind("system.", 0) == 0 && !is_acl_name(name))
    return fail(Errc::unsupported, "of the system's attributes only ACLs are kept");
  if (name.rfind("dfs.", 0) == 0 && name != kConsistencyName)
    return fail(Errc::unsupported, "no such attribute of this file system");
  return {};
}

Result<AttributesResult> set_consistency(Transaction& txn, const OperationContext& context,
                                         InodeId inode, Consistency consistency) {
  InodeRecord* record = TRY(edit_inode(txn, context, inode));
  if (context.caller.uid != 0 && context.caller.uid != record->uid)
    return fail(Errc::not_permitted);
  record->consistency = consistency;
  attributes_changed(*record, context.now);
  return AttributesResult{attributes_of(inode, *record)};
}

Result<AttributesResult> set_consistency(Transaction& txn, const OperationContext& context,
                                         const SetXattrArgs& args) {
  if (args.create_only) return fail(Errc::exists);
  const std::optional<Consistency> consistency = consistency_named(args.value);
  if (!consistency)
    return fail(Errc::invalid, "a consistency is strict, close-to-open or relaxed");
  return set_consistency(txn, context, args.inode, *consistency);
}

}  // namespace

Result<AttributesResult> set_xattr(Transaction& txn, const OperationContext& context,
                                   const SetXattrArgs& args) {
  TRY(check_xattr_name(args.name));
  if (args.name == kConsistencyName) return set_consistency(txn, context, args);
  if (args.value.size() > kXattrValueMax) return fail(Errc::too_big);
  InodeRecord* record = TRY(edit_inode(txn, context, args.inode));
  const XattrRecord* present = TRY(find_xattr(txn, args.inode, *record, args.name));
  if (present != nullptr && args.create_only) return fail(Errc::exists);
  if (present == nullptr && args.replace_only) return fail(Errc::no_data);
  if (present == nullptr || args.value.size() > present->value.size()) TRY(check_room(context));
  if (is_acl_name(args.name)) {
    TRY(set_acl(txn, args, *record));
  } else {
    TRY(put_xattr(txn, args.inode, *record, args.name, args.value));
  }
  attributes_changed(*record, context.now);
  return AttributesResult{attributes_of(args.inode, *record)};
}

Result<XattrResult> get_xattr(Transaction& txn, const OperationContext& context,
                              const GetXattrArgs& args) {
  TRY(check_xattr_name(args.name));
  const InodeRecord* record = TRY(find_inode(txn, context, args.inode));
  if (args.name == kConsistencyName)
    return XattrResult{std::string(name_of(record->consistency)), {}};
  const XattrRecord* xattr = TRY(find_xattr(txn, args.inode, *record, args.name));
  if (xattr == nullptr) return fail(Errc::no_data);
  return XattrResult{xattr->value, {}};
}

Result<XattrResult> list_xattr(Transaction& txn, const OperationContext& context,
                               const ListXattrArgs& args) {
  const InodeRecord* record = TRY(find_inode(txn, context, args.inode));
  XattrResult result;
  if (record->xattrs == 0) return result;
  std::vector<Row<tables::Xattrs>> rows = TRY(txn.rows<tables::Xattrs>(
      {args.inode, {}}, {InodeId{args.inode.value() + 1}, {}}, kXattrsMax));
  result.names.reserve(rows.size());
  for (auto& row : rows) result.names.push_back(std::move(row.key.name));
  return result;
}

Result<AttributesResult> remove_xattr(Transaction& txn, const OperationContext& context,
                                      const RemoveXattrArgs& args) {
  TRY(check_xattr_name(args.name));
  if (args.name == kConsistencyName)
    return set_consistency(txn, context, args.inode, Consistency::strict);
  InodeRecord* record = TRY(edit_inode(txn, context, args.inode));
  const bool erased = TRY(erase_xattr(txn, args.inode, *record, args.name));
  if (!erased) return fail(Errc::no_data);
  attributes_changed(*record, context.now);
  return AttributesResult{attributes_of(args.inode, *record)};
}

}  // namespace dfs::ops
