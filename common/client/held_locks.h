// The locks that programs here hold, as far as the metadata server has told:
// for saying them again to a server that was restarted, and for not asking
// about files that nobody locked.
//
// An answer may say what is not so any more. The session may have said
// what is held, to which the server then kept (say_all()), or a request that
// was given up may have been set right (set_right()), or another thread of the
// owner may have unlocked (weaken()), after the request of the answer was sent.
// Whatever was granted is then in doubt, and asked again.
//
// Threads: any.
#pragma once

#include <atomic>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "common/base/guarded.h"
#include "common/rpc/lock_memo.h"
#include "common/rpc/lock_ranges.h"
#include "common/rpc/meta_api.h"

namespace dfs {

class HeldLocks {
 public:
  // A request that is on its way.
  struct Request {
    InodeId inode;
    FileLock lock;
    std::uint64_t sent = 0;
  };

  // Before a request for `lock` is sent. `through`: the open file that ends it
  // when it is closed.
  Request begin(InodeId inode, const FileLock& lock, const void* through);
  // It was granted. False if that is in doubt: it has to be asked again. Either
  // way the request is over, as by refused().
  [[nodiscard]] bool granted(const Request& request);
  void refused(const Request& request);

  // There may be something in the range of `lock` to be removed.
  bool concerns(InodeId inode, const FileLock& lock) const;
  // The server cannot refuse `lock`: it only takes away from what is held.
  bool only_weakens(InodeId inode, const FileLock& lock) const;
  // Sets `lock`, which only weakens. Returns what was there.
  std::vector<LockRanges::Range> weaken(InodeId inode, const FileLock& lock);
  // It was refused nevertheless (`no_locks`).
  void restore(InodeId inode, const FileLock& lock, const std::vector<LockRanges::Range>& former);

  // Sends what makes the server hold for the owner in the range of `lock` what
  // is held here, no more. `send` is called under the lock: what is sent after
  // this is sent after that.
  using Send = std::function<void(const FileLock&)>;
  void set_right(InodeId inode, const FileLock& lock, const Send& send);

  // The locks that were last asked for through this file, as what removes them.
  std::vector<FileLock> end_of(InodeId inode, const void* through);

  // Records from now on what is held in `memo`, which outlives this.
  void remember_in(LockMemo& memo);
  // A former process of the session was granted it, through a file that is open here
  // as `through`; null: nobody knows.
  void adopt(const HeldLock& held, const void* through);

  // That was all: of what it had besides, nothing is held.
  void adopted();

  std::vector<HeldLock> say_all();
  // Nothing is held any more. Returns how much was.
  std::size_t forget_all();

  // False: no program here has asked for a lock that it may still have.
  bool any() const { return count_.load(std::memory_order_relaxed) > 0; }

 private:
  struct Key {
    InodeId inode;
    LockFamily family;
    std::uint64_t owner;
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  struct Owner {
    LockRanges ranges;
    const void* through = nullptr;
    std::size_t on_their_way = 0;  // requests
    std::uint64_t doubted = 0;     // when it was set right last
  };
  struct Table {
    std::map<Key, Owner> owners;  // each holds something or asks for something
    std::uint64_t now = 0;        // counts what follows
    std::uint64_t said = 0;       // when all was said last
    LockMemo* memo = nullptr;
  };
  using Owners = std::map<Key, Owner>;

  static Key key_of(InodeId inode, const FileLock& lock) {
    return {inode, lock.family, lock.owner};
  }
  // After each change of the ranges.
  static void changed_locked(Table& table, const Key& key, const Owner& owner);
  void end_locked(Table& table, Owners::iterator owner);
  void forget_if_unused_locked(Table& table, Owners::iterator owner);

  Guarded<Table> table_;
  std::atomic<std::size_t> count_{0};
};

}  // namespace dfs
