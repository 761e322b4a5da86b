// Names in directories: the pair of rows that each has, and the counters of
// the directory that go with it.
//
//   entries      = its rows in Dirents = its rows in Listing
//   nlink        = 2 + subdirectories
//   next_cookie  > every cookie in use
#pragma once

#include <string_view>

#include "server/meta/ops/operation.h"

namespace dfs::ops {

//   not_directory
Result<const InodeRecord*> find_directory(Transaction& txn, const OperationContext& context,
                                          InodeId inode);
// For taking a name or giving one.
//   not_directory
//   not_found  it has been removed and is only held
Result<InodeRecord*> edit_directory(Transaction& txn, const OperationContext& context,
                                    InodeId inode);

// The entry, or null. `parent` is a directory.
Result<const DirentRecord*> find_entry(Transaction& txn, InodeId parent, std::string_view name);

// An inode and its type: what a name leads to.
struct Target {
  InodeId inode;
  FileType type = FileType::regular;
};

// Adds `name`, which is not there, at the end of the listing. `directory` is
// the record of `parent`, being edited.
//   too_many_links  it cannot have another subdirectory
Result<void> add_entry(Transaction& txn, const OperationContext& context, InodeId parent,
                       InodeRecord& directory, std::string_view name, Target target);
// Removes `name`, which leads to `entry`.
void remove_entry(Transaction& txn, const OperationContext& context, InodeId parent,
                  InodeRecord& directory, std::string_view name, const DirentRecord& entry);
// Gives `entry` another name in the same directory, at the same place of the
// listing: whoever renames what a listing shows meets each entry once.
void rename_entry(Transaction& txn, const OperationContext& context, InodeId parent,
                  InodeRecord& directory, std::string_view name, std::string_view new_name,
                  const DirentRecord& entry);
// Lets `name`, which led to `entry`, lead to `target`, at the same place.
//   too_many_links
Result<void> redirect_entry(Transaction& txn, const OperationContext& context, InodeId parent,
                            InodeRecord& directory, std::string_view name,
                            const DirentRecord& entry, Target target);

}  // namespace dfs::ops
