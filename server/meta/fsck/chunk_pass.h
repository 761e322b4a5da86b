// The last pass: chunks, garbage, missing copies and groups; and the totals,
// which the first pass has counted.
#pragma once

#include "server/meta/fsck/row_pass.h"

namespace dfs::fsck {

// Errors: the store's, the sink's.
Result<void> pass_chunks(const KvSnapshot& snapshot, const RowFacts& facts, FindingSink& sink);

}  // namespace dfs::fsck
