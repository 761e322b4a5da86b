// Brings the extents of an inode into its state. Threads: any; blocks.
#pragma once

#include "common/base/clock.h"
#include "common/client/inode_state.h"
#include "common/rpc/meta_client.h"

namespace dfs {

// Returns when the extents below `end` were known at some moment; another
// change may have made them unknown again, so callers look again under the
// lock. Errors: those of get_extents; interrupted.
Result<void> load_extents(MetaClient& meta, InodeState& state, std::uint64_t end,
                          Interrupt* interrupt);

}  // namespace dfs
