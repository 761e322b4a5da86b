// Checks the metadata tables, all of them, as they were at one moment.
//
// Everything that is found is true of that moment: the snapshot does not change
// while operations go on, so there is nothing to check twice. Whoever mends
// looks at the row again first (mend.h).
//
// Memory: under 64 MiB, however large the tables are; groups, servers and
// sessions are kept, which the settings bound. Rows are read in key order, and
// next to each other where one leads to another.
//
// Threads: one, which should not be the core's.
#pragma once

#include "common/kv/kv_store.h"
#include "server/meta/fsck/finding.h"

namespace dfs::fsck {

// All passes. Once the sink has mended something, what is counted of the
// snapshot is out of date, and the passes that count are left out: take another
// snapshot and check again (rounds.h does).
// Errors: the store's, the sink's.
Result<void> check_tables(const KvSnapshot& snapshot, FindingSink& sink);

}  // namespace dfs::fsck
