// The third pass: counts names and references of those ids only about which the
// sums of the first pass differ; nothing in a healthy file system.
//
// Memory: a share of the ids at a time, about 100,000; so many times are the
// tables of names or extents gone through.
#pragma once

#include "server/meta/fsck/row_pass.h"

namespace dfs::fsck {

// Names of each inode. Errors of both: the store's, the sink's.
Result<void> count_names(const KvSnapshot& snapshot, const RowFacts& facts, FindingSink& sink);
// Extents that name each chunk.
Result<void> count_references(const KvSnapshot& snapshot, const RowFacts& facts, FindingSink& sink);

}  // namespace dfs::fsck
