// Mends what a check has found, where there is one right answer.
//
// Each finding is looked at again in the transaction first: what has changed
// since the snapshot is left for the next round. Counters are mended by the
// difference that was found, which operations in between do not change. Nothing
// that a name reaches is ever removed; what has lost its name, or its
// directory, gets one in /lost+found.
//
// Threads: one, the core's (or the only one there is).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "server/meta/core/cluster_row.h"
#include "server/meta/fsck/finding.h"
#include "server/meta/store/transaction.h"

namespace dfs::fsck {

struct MendContext {
  Transaction& txn;
  ClusterRow& row;
  WallNanos now = 0;
  std::vector<InodeId> orphans_made{};    // are to be purged
  std::vector<InodeId> orphans_ended{};   // are not, any more
  std::vector<InodeId> inodes_changed{};  // what sessions were told of them is out of date
};

// A sentence about what was done; none: nothing was left to be done.
//   corrupt  other rows that would be needed do not hold
//   others   the store's
// After an error, undo the transaction and the row.
Result<std::optional<std::string>> mend(MendContext& context, const Finding& finding);

}  // namespace dfs::fsck
