// The access control lists of inodes, kept as extended attributes.
//
//   mode & 0777 = Acl::mode_bits() of the access list, where there is one
//   an access list is kept only if it says more than the mode
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "server/meta/ops/acl.h"
#include "server/meta/ops/operation.h"

namespace dfs::ops {

inline bool is_acl_name(std::string_view name) {
  return name == kAccessAclName || name == kDefaultAclName;
}

// Sets the list called args.name, and the mode with it. `record` is that of
// args.inode, being edited.
//   unsupported  a symlink has none; another version of the form
//   access       a default list for what is no directory
//   invalid      not such a list
//   too_big, no_space
Result<void> set_acl(Transaction& txn, const SetXattrArgs& args, InodeRecord& record);

// Sets the permission bits, and the access list with them.
Result<void> set_mode(Transaction& txn, InodeId inode, InodeRecord& record, std::uint32_t mode);

// What a new file has from its parent and its maker.
struct Inherited {
  std::uint32_t mode = 0;
  std::optional<std::string> access_acl;
  std::optional<std::string> default_acl;
};
// The default list of args.parent decides where there is one, otherwise the
// umask. `directory` is the parent's record; if it has no attributes nothing
// is looked up.
Result<Inherited> inherit(Transaction& txn, const CreateArgs& args, const InodeRecord& directory);

// Gives `record`, that of the new `inode`, the lists it inherits.
Result<void> put_inherited(Transaction& txn, InodeId inode, InodeRecord& record,
                           Inherited inherited);

}  // namespace dfs::ops
