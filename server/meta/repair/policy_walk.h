// Gives files the number of copies that their directory asks for, when that
// has changed: goes through directories (rows `W`), and those below that say
// nothing themselves. What has to be copied for it is only noted (rows `V`).
//
// A row says how far its directory has been listed. Names that come later come
// behind that, and have the new number from the beginning; what comes from
// other directories is looked at when it is renamed (ops/conversions.h).
//
// Threads: the core's; no state.
#pragma once

#include <vector>

#include "server/meta/ops/operation.h"

namespace dfs {

struct WalkStep {
  std::vector<InodeId> changed;  // files whose attributes have changed
  bool more = false;             // there are more directories
};

// Looks at some hundred entries: two or three milliseconds. An operation of
// its own in `txn`, undone if it fails.
Result<WalkStep> walk_some(Transaction& txn, const OperationContext& context);

}  // namespace dfs
