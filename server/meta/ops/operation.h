// The operations on names, attributes and contents: what the core runs.
//
// Each is a free function of (transaction, context, arguments): no threads, no
// clock, no state of its own. This header is what the core needs; the single
// operations are in ops/operations.h.
//
// Threads: one, the core's.
#pragma once

#include <cstdint>
#include <vector>

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/rpc/meta_api.h"
#include "server/meta/store/transaction.h"

namespace dfs {

// Which inodes sessions hold open.
class HeldInodes {
 public:
  virtual ~HeldInodes() = default;
  // Held by any session, or perhaps held by one that is still away. While it
  // is, an inode's contents outlive its last name.
  virtual bool is_held(InodeId inode) const = 0;
  // Whoever takes the inode's last name says that it may hold it, without
  // having been able to say so before. Whether that makes it held is up to the
  // implementation.
  virtual void may_be_held(InodeId) const {}
};

// Where the chunks of a group are.
class GroupDirectory {
 public:
  virtual ~GroupDirectory() = default;
  virtual bool knows(GroupId group) const = 0;
  // All members, whatever their state; empty for an unknown group.
  virtual std::vector<ServerId> members_of(GroupId group) const = 0;
  // Those that joined so lately that who uploads a chunk may not have known of them.
  virtual std::vector<ServerId> late_members_of(GroupId) const { return {}; }
  // How many copies its chunks are to have; 0: not known.
  virtual std::uint32_t replicas_of(GroupId) const { return 0; }
  // Chunks with smaller serial numbers that no file names have been given up:
  // their copies may be gone.
  virtual std::uint64_t given_up_below(GroupId) const { return 0; }
};

struct InodeName {
  InodeId inode;
  std::uint64_t generation = 0;
};
// Names for new inodes, from memory. What it has handed out must never be
// handed out again, after a crash neither.
class IdSource {
 public:
  virtual ~IdSource() = default;
  virtual InodeName next_inode() = 0;
};

// Whether there is room for more rows. What only changes or removes some does
// not ask.
class Room {
 public:
  virtual ~Room() = default;
  //   no_space  what is left is kept for what frees space
  virtual Result<void> check() = 0;
};

// How new data is kept.
struct Policy {
  std::uint32_t replicas = 1;
  std::uint32_t chunk_size = kChunkSizeDefault;
};

// Changed by operations; whoever commits the batch keeps them (ClusterRecord).
struct Totals {
  std::uint64_t inodes = 0;
  std::uint64_t chunks = 0;
  std::uint64_t chunk_bytes = 0;  // one copy of each
  std::uint64_t missing = 0;      // copies that servers lack
  std::uint64_t missing_bytes = 0;
  std::uint64_t garbage = 0;      // chunks that are to be deleted
  std::uint64_t walks = 0;        // directories whose files have yet to get their number of copies
  std::uint64_t conversions = 0;  // files whose chunks have yet to
  std::uint64_t conversion_bytes = 0;
  friend bool operator==(const Totals&, const Totals&) = default;
};

struct OperationContext {
  Caller caller;
  SessionId session;
  WallNanos now = 0;
  const HeldInodes& held;
  const GroupDirectory& groups;
  Policy defaults;  // where no directory up to the root says anything
  IdSource& ids;
  Totals& totals;
  // Orphans to look at in later batches are added here, to call purge_orphan()
  // on them once nobody holds them: those with too much to purge in one go, and
  // those made without a name.
  std::vector<InodeId>& unfinished;
  Room* room = nullptr;  // null: as much as there may be
};

// What belongs to an operation besides its rows, as it was before.
struct OperationMark {
  Totals totals;
  std::size_t unfinished = 0;
};
inline OperationMark mark_operation(const OperationContext& context) {
  return {context.totals, context.unfinished.size()};
}
// Takes back the operation that began last in `txn`, and before which `mark` was made.
void undo_operation(Transaction& txn, const OperationContext& context, const OperationMark& mark);

// Runs one operation: begins it in `txn`, and undoes it there and in
// context.totals if it fails, so that a failed one leaves nothing (inode ids
// aside). Rows that are added to `txn` afterwards (a reply) belong to the same
// operation.
//
// Runs: lookup, get_attr, set_attr, touch, create, symlink, readlink, link, unlink,
// rename, read_dir, xattrs, open, get_extents, commit, clone,
// set_policy, get_policy; acquire_lease and hold as far as they read the inode.
// Holding and releasing what is opened is the core's, and so are leases.
//   internal     an operation that is not among these
//   stale        an inode in the arguments is gone
//   io, corrupt  the store
//   others       as each operation says (operations.h)
Result<MetaResult> execute(Transaction& txn, const OperationContext& context,
                           const MetaArgs& args);

enum class Purge { done, more };

// For an inode in the table Orphans that nobody holds any more: makes garbage
// of its chunks and removes it. Removes at most kPurgeExtentsMax extents a
// call; `more`: call again, in this batch or a later one. `done` also if there
// is no such orphan. Begins and, on error, undoes an operation as execute() does.
Result<Purge> purge_orphan(Transaction& txn, const OperationContext& context, InodeId inode);

inline constexpr std::size_t kPurgeExtentsMax = 4096;

// The policy that holds for new data of `inode` (a file or a directory): its
// own, or that of the nearest directory above that has one, or the defaults;
// for replicas and chunk_size each. `stale` if it is gone.
Result<Policy> effective_policy(Transaction& txn, const OperationContext& context, InodeId inode);

// The root directory of a new file system, mode 0755. Counted in totals.
void make_root(Transaction& txn, const OperationContext& context);

// What clients see of an inode.
Attributes attributes_of(InodeId inode, const InodeRecord& record);

}  // namespace dfs
