#include "common/rpc/lock_memo.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "common/base/log.h"
#include "common/base/result.h"

namespace dfs {

LockMemo::LockMemo(MutableBuffer memory) : slots_(reinterpret_cast<Slot*>(memory.data())) {
  invariant(memory.size() == bytes(), "the memory of locks has its size");
  for (std::size_t at = 0; at < kLocksMax; ++at) {
    const Slot& slot = slots_[at];
    if (slot.inode == 0)
      free_.push_back(at);
    else
      used_[{InodeId{slot.inode}, static_cast<LockFamily>(slot.family), slot.owner}].push_back(at);
  }
  std::reverse(free_.begin(), free_.end());  // the first ones first
}

FileLock LockMemo::lock_of(const Slot& slot) {
  FileLock lock;
  lock.family = static_cast<LockFamily>(slot.family);
  lock.kind = static_cast<LockKind>(slot.kind);
  lock.owner = slot.owner;
  lock.start = slot.start;
  lock.end = slot.end;
  lock.process = slot.process;
  return lock;
}

std::vector<HeldLock> LockMemo::all() const {
  std::vector<HeldLock> locks;
  for (const auto& [key, places] : used_)
    for (const std::size_t at : places) locks.push_back({key.inode, lock_of(slots_[at])});
  return locks;
}

// A process that is killed in here leaves the former ones, the new ones or both.
void LockMemo::set(InodeId inode, LockFamily family, std::uint64_t owner,
                   const std::vector<FileLock>& locks) {
  std::vector<std::size_t> places;
  for (const FileLock& lock : locks) {
    if (free_.empty()) {
      log_warn("client", "more than {} locks are held: if this process and the metadata server are "
                         "killed together, some are lost", kLocksMax);
      break;
    }
    const std::size_t at = free_.back();
    free_.pop_back();
    slots_[at] = Slot{.inode = 0,
                      .owner = owner,
                      .start = lock.start,
                      .end = lock.end,
                      .family = static_cast<std::uint32_t>(family),
                      .kind = static_cast<std::uint32_t>(lock.kind),
                      .process = lock.process,
                      .reserved = 0};
    std::atomic_signal_fence(std::memory_order_seq_cst);
    slots_[at].inode = inode.value();
    places.push_back(at);
  }
  const Key key{inode, family, owner};
  std::vector<std::size_t>& known = used_[key];
  for (const std::size_t at : std::exchange(known, std::move(places))) {
    slots_[at].inode = 0;
    free_.push_back(at);
  }
  if (known.empty()) used_.erase(key);
}

void LockMemo::clear() {
  while (!used_.empty()) {
    const Key key = used_.begin()->first;
    set(key.inode, key.family, key.owner, {});
  }
}

}  // namespace dfs
