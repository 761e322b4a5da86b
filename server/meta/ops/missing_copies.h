// The copies of chunks that members of their groups lack (table `M`), and how
// many there are.
//
//   totals.missing = the number of rows, totals.missing_bytes = their lengths
//
// A row says that a server should look whether it has a good copy, and get one
// if not: one too many costs a look.
#pragma once

#include <vector>

#include "server/meta/ops/operation.h"

namespace dfs::ops {

// `server` may lack its copy of `chunk`, which is in use. `source`, if it is
// one, has a copy without being a member.
Result<void> note_missing(Transaction& txn, Totals& totals, ServerId server, ChunkId chunk,
                          std::uint32_t length, ServerId source = {});
// It has it, or needs it no more.
Result<void> forget_missing(Transaction& txn, Totals& totals, ServerId server, ChunkId chunk);

}  // namespace dfs::ops
