// Finding inodes, and the rules that every change of one follows.
//
//   change       grows with every change
//   data_change  grows with every change of contents or size
//   ctime        the time of the last change
//   mtime        the time of the last change of contents
#pragma once

#include <algorithm>

#include "server/meta/ops/operation.h"

namespace dfs::ops {

inline constexpr std::uint32_t kSetUid = 04000;
inline constexpr std::uint32_t kSetGid = 02000;
inline constexpr std::uint32_t kGroupExecute = 00010;
inline constexpr std::uint32_t kModeBits = 07777;

// The inode, which has a name or is held; `stale` otherwise. The results are
// valid as Transaction::find() and edit() say.
Result<const InodeRecord*> find_inode(Transaction& txn, const OperationContext& context,
                                      InodeId inode);
Result<InodeRecord*> edit_inode(Transaction& txn, const OperationContext& context, InodeId inode);

// Before an operation adds rows.
inline Result<void> check_room(const OperationContext& context) {
  if (context.room == nullptr) return {};
  return context.room->check();
}

inline void attributes_changed(InodeRecord& record, WallNanos now) {
  record.ctime = now;
  ++record.change;
}
inline void contents_changed(InodeRecord& record, WallNanos now) {
  record.mtime = now;
  record.ctime = now;
  ++record.change;
  ++record.data_change;
}

// A client wrote at `time`. It has shown that as ctime already; a later one
// now would look like another change. A chmod in between stays seen.
inline void written_at(InodeRecord& record, WallNanos time) {
  record.mtime = time;
  record.ctime = std::max(record.ctime, time);
}

// What a write or chown by somebody without special rights does: setuid goes,
// and setgid where it means "run as the group". Directories keep theirs.
inline void clear_set_id_bits(InodeRecord& record) {
  if (record.is_directory()) return;
  record.mode &= ~kSetUid;
  if ((record.mode & kGroupExecute) != 0) record.mode &= ~kSetGid;
}

// After an inode has lost a name: if it was the last one, it becomes an orphan
// (held, or too much to purge at once) or is removed with all it has.
// `keep`: whoever asked may hold it (HeldInodes::may_be_held()).
Result<void> name_lost(Transaction& txn, const OperationContext& context, InodeId inode,
                       InodeRecord& record, bool keep);

}  // namespace dfs::ops
