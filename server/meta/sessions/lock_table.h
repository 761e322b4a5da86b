// The advisory locks of all sessions, and who waits for one.
//
//   * Locks of one family and two owners overlap only if both are shared.
//   * Who waits is blocked by a lock that is held; when that goes, the one who
//     has waited longest and can have his lock gets it. A request that nothing
//     is in the way of does not stand behind those who wait.
//   * An owner's POSIX lock takes the place of what he had in its range, when
//     it is granted. Of flock, what he had goes first, as flock(2) says: a
//     change of kind that has to wait, or fails, has lost it. It does not stand
//     behind those who waited for that.
//
// An owner is a number within a session and a family. Bounded by Limits.
// Pure: no clock, no I/O. Threads: the core's; no locks.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/rpc/lock_ranges.h"
#include "common/rpc/meta_api.h"

namespace dfs {

struct LockLimits {
  std::size_t locks_per_session_max = 16'384;
  std::size_t waits_per_session_max = 1'024;
  std::size_t waits_per_inode_max = 1'024;
};

class LockTable {
 public:
  explicit LockTable(LockLimits limits) : limits_(limits) {}

  // What became of a wait, other than by cancel() and drop_waits().
  struct Settled {
    SessionId session;
    std::uint64_t ticket;
    InodeId inode;
    Result<void> result;  // `no_locks`, or it is granted
  };

  // Sets or removes a lock. True: done; false: he waits, see take_settled().
  //   again      somebody is in the way, and args.wait is not set
  //   deadlock   waiting would close a circle of owners (POSIX)
  //   no_locks   a limit
  //   invalid    somebody waits with this ticket already
  Result<bool> set(SessionId session, const SetLockArgs& args);
  // A lock that is in the way of this one.
  LockResult in_the_way(SessionId session, const GetLockArgs& args) const;
  // `lock` gives its owner nothing that he does not have.
  bool only_weakens(SessionId session, InodeId inode, const FileLock& lock) const;

  // False if nobody waits with this ticket (any more).
  bool cancel(SessionId session, std::uint64_t ticket);
  void drop_waits(SessionId session);
  // `locks` is what the session holds, no more and no less. Returns how many it
  // could not get, because of others or of the limit. Its waits are dropped.
  std::size_t replace(SessionId session, const std::vector<HeldLock>& locks);
  // Drops the waits, and locks on a bounded number of inodes; true when nothing
  // of the session is left.
  bool release_some(SessionId session);

  // The waits that have ended since the last call, in order.
  std::vector<Settled> take_settled() { return std::exchange(settled_, {}); }

  std::size_t locks() const { return lock_count_; }
  std::size_t waits() const { return wait_count_; }
  std::size_t locks_of(SessionId session) const;
  std::vector<HeldLock> held_by(SessionId session) const;
  bool has_waits(SessionId session) const;

 private:
  struct Owner {
    LockFamily family;
    SessionId session;
    std::uint64_t number;
    friend auto operator<=>(const Owner&, const Owner&) = default;
  };
  struct Wait {
    SessionId session;
    std::uint64_t ticket;
    InodeId inode;
    FileLock lock;
  };
  using Waits = std::list<Wait>;
  struct Inode {
    std::map<Owner, LockRanges> holders;  // none is empty
    Waits waits;                          // the longest first; none without a holder
  };
  struct OfSession {
    std::set<InodeId> inodes;  // where it holds something
    std::size_t locks = 0;     // ranges
    std::unordered_map<std::uint64_t, Waits::iterator> waits;
  };

  static Owner owner_of(SessionId session, const FileLock& lock) {
    return {lock.family, session, lock.owner};
  }
  // What the owner of `lock` has; null: nothing.
  const LockRanges* find_ranges(SessionId session, InodeId inode, const FileLock& lock) const;
  Result<void> check_room(SessionId session, InodeId inode, const FileLock& lock) const;
  // Calls `visit(owner, range)` for each owner in the way, while it returns true.
  template <typename Visit>
  void visit_blockers(SessionId session, InodeId inode, const FileLock& lock,
                      Visit&& visit) const;
  bool is_blocked(SessionId session, InodeId inode, const FileLock& lock) const;
  bool would_deadlock(SessionId session, InodeId inode, const FileLock& lock) const;
  // True if something is weaker than before, so that a wait may be over.
  bool apply(SessionId session, InodeId inode, const FileLock& lock);
  void drop_locks(SessionId session, InodeId inode);
  void add_wait(SessionId session, const SetLockArgs& args);
  void remove_wait(Waits::iterator wait);
  // Grants what can be granted on `inode`, and forgets it if nobody has a lock.
  void settle(InodeId inode);
  void forget_if_unused(SessionId session);

  const LockLimits limits_;
  std::unordered_map<InodeId, Inode> inodes_;
  std::unordered_map<SessionId, OfSession> sessions_;
  std::multimap<Owner, const Wait*> waiting_owners_;  // POSIX
  std::vector<Settled> settled_;
  std::size_t lock_count_ = 0;
  std::size_t wait_count_ = 0;
};

}  // namespace dfs
