// The locks that a session has been granted, in memory that outlives the process:
// for the one that goes on with the session when the server was restarted too, and
// does not know them any more.
//
//   what is recorded was granted; what is let go of is taken out before the server
//   hears of it.
//
// Bound: kLocksMax; one beyond that is known only while the process or the server lives.
// Threads: one at a time.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "common/base/bytes.h"
#include "common/rpc/types.h"

namespace dfs {

class LockMemo {
 public:
  static constexpr std::uint32_t kLayout = 1;
  static constexpr std::size_t kLocksMax = 8192;

  static constexpr std::size_t bytes() { return kLocksMax * sizeof(Slot); }
  // `memory` is page-aligned, outlives this and is zero or was a former process's.
  explicit LockMemo(MutableBuffer memory);
  LockMemo(const LockMemo&) = delete;
  LockMemo& operator=(const LockMemo&) = delete;

  // What is recorded.
  std::vector<HeldLock> all() const;
  // What `lock.owner` has of its family on the inode is exactly this.
  void set(InodeId inode, LockFamily family, std::uint64_t owner,
           const std::vector<FileLock>& locks);
  void clear();

 private:
  struct Slot {
    std::uint64_t inode;  // 0: free; stored last
    std::uint64_t owner;
    std::uint64_t start;
    std::uint64_t end;
    std::uint32_t family;
    std::uint32_t kind;
    std::uint32_t process;
    std::uint32_t reserved;
  };
  struct Key {
    InodeId inode;
    LockFamily family;
    std::uint64_t owner;
    friend auto operator<=>(const Key&, const Key&) = default;
  };

  static FileLock lock_of(const Slot& slot);

  Slot* const slots_;
  std::vector<std::size_t> free_;
  std::map<Key, std::vector<std::size_t>> used_;
};

}  // namespace dfs
