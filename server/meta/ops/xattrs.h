// The extended attributes of an inode, as rows.
//
//   InodeRecord::xattrs = the number of its rows, at most kXattrsMax
//
// `record` is that of `inode`; what changes rows takes it while it is edited.
#pragma once

#include <string>
#include <string_view>

#include "server/meta/ops/operation.h"

namespace dfs::ops {

// What the privileges are called that a program gets when it is run.
inline constexpr std::string_view kCapabilityName = "security.capability";

// Null if there is none; nothing is looked up if the inode has none at all,
// which is what kernels ask about most.
Result<const XattrRecord*> find_xattr(Transaction& txn, InodeId inode, const InodeRecord& record,
                                      std::string_view name);
// Adds or replaces.
//   no_space  over kXattrsMax
Result<void> put_xattr(Transaction& txn, InodeId inode, InodeRecord& record,
                       std::string_view name, std::string value);
// Whether it was there.
Result<bool> erase_xattr(Transaction& txn, InodeId inode, InodeRecord& record,
                         std::string_view name);

// For every change of contents or owner, by root too: who changes a program
// decides what it does, and not with the privileges it was given before.
Result<void> drop_capability(Transaction& txn, InodeId inode, InodeRecord& record);

}  // namespace dfs::ops
