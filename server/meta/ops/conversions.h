// Which files have chunks that may be kept in another number of copies than the
// file is to have (rows `V`), and in which directories that has yet to be
// looked at (rows `W`). What is noted here is done in the background, by
// server/meta/repair/conversion.
#pragma once

#include <cstdint>
#include <vector>

#include "server/meta/ops/operation.h"

namespace dfs::ops {

// All chunks of the file are looked at, from the start. Nothing if it has none.
Result<void> note_conversion(Transaction& txn, Totals& totals, InodeId inode,
                             const InodeRecord& file);
// The row as it is from now on. It must be there.
Result<void> advance_conversion(Transaction& txn, Totals& totals, InodeId inode,
                                const ConversionRecord& record);
Result<void> forget_conversion(Transaction& txn, Totals& totals, InodeId inode);

// All files in the directory and below are looked at, from the start.
Result<void> note_walk(Transaction& txn, Totals& totals, InodeId directory);
Result<void> forget_walk(Transaction& txn, Totals& totals, InodeId directory);

// A regular file is to be kept in `replicas` copies from now on, what is there
// included. True: its attributes have changed by that.
Result<bool> keep_in_copies(Transaction& txn, const OperationContext& context, InodeId inode,
                            InodeRecord& file, std::uint32_t replicas);

// `record` has come from one directory to another. If other numbers of copies are asked for there,
// or a walk that has yet to come to where it was may have passed where it is,
// it is treated like what has always been there.
Result<void> moved_between(Transaction& txn, const OperationContext& context, InodeId inode,
                           InodeRecord& record, InodeId from, InodeId to);

// The file has come to name these chunks: noted, if any is kept in another number of copies.
Result<void> check_copies(Transaction& txn, const OperationContext& context, InodeId inode,
                          const InodeRecord& file, const std::vector<Extent>& extents);

}  // namespace dfs::ops
