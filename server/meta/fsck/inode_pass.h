// The second pass: inode by inode, all rows that belong to one of them, which
// lie in the same order in six tables: names, listing, extents, attributes.
#pragma once

#include "server/meta/fsck/row_pass.h"

namespace dfs::fsck {

// Errors: the store's, the sink's.
Result<void> pass_inodes(const KvSnapshot& snapshot, const RowFacts& facts, FindingSink& sink);

}  // namespace dfs::fsck
