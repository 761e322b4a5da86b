#include "common/client/held_locks.h"

#include <algorithm>
#include <utility>

namespace dfs {
namespace {

FileLock unlocking(FileLock lock, std::uint64_t start, std::uint64_t end) {
  lock.kind = LockKind::unlocked;
  lock.start = start;
  lock.end = end;
  return lock;
}

FileLock with(FileLock lock, const LockRanges::Range& range) {
  lock.kind = range.kind;
  lock.start = range.start;
  lock.end = range.end;
  lock.process = range.process;
  return lock;
}

}  // namespace

HeldLocks::Request HeldLocks::begin(InodeId inode, const FileLock& lock, const void* through) {
  return table_.with([&](Table& table) {
    Owner& owner = table.owners[key_of(inode, lock)];
    owner.through = through;
    ++owner.on_their_way;
    count_.store(table.owners.size(), std::memory_order_relaxed);
    return Request{inode, lock, table.now};
  });
}

bool HeldLocks::granted(const Request& request) {
  return table_.with([&](Table& table) {
    const auto owner = table.owners.find(key_of(request.inode, request.lock));
    const bool in_doubt = table.said > request.sent || owner->second.doubted > request.sent;
    if (!in_doubt) {
      owner->second.ranges.set(request.lock);
      changed_locked(table, owner->first, owner->second);
    }
    end_locked(table, owner);
    return !in_doubt;
  });
}

void HeldLocks::refused(const Request& request) {
  table_.with([&](Table& table) {
    const auto owner = table.owners.find(key_of(request.inode, request.lock));
    // flock(2) lets go of the former kind first.
    if (request.lock.family == LockFamily::flock && !owner->second.ranges.holds(request.lock)) {
      owner->second.ranges.set(unlocking(request.lock, 0, kLockEndMax));
      changed_locked(table, owner->first, owner->second);
    }
    end_locked(table, owner);
  });
}

bool HeldLocks::concerns(InodeId inode, const FileLock& lock) const {
  if (!any()) return false;
  return table_.with([&](const Table& table) {
    const auto owner = table.owners.find(key_of(inode, lock));
    if (owner == table.owners.end()) return false;
    return owner->second.on_their_way > 0 ||
           !owner->second.ranges.within(lock.start, lock.end).empty();
  });
}

bool HeldLocks::only_weakens(InodeId inode, const FileLock& lock) const {
  if (lock.kind == LockKind::unlocked) return true;
  if (lock.kind != LockKind::shared || lock.family != LockFamily::posix) return false;
  return table_.with([&](const Table& table) {
    const auto owner = table.owners.find(key_of(inode, lock));
    if (owner == table.owners.end()) return false;
    FileLock exclusive = lock;
    exclusive.kind = LockKind::exclusive;
    return owner->second.ranges.holds(exclusive);
  });
}

std::vector<LockRanges::Range> HeldLocks::weaken(InodeId inode, const FileLock& lock) {
  return table_.with([&](Table& table) {
    std::vector<LockRanges::Range> former;
    const auto owner = table.owners.find(key_of(inode, lock));
    if (owner == table.owners.end()) return former;
    former = owner->second.ranges.within(lock.start, lock.end);
    owner->second.ranges.set(lock);
    changed_locked(table, owner->first, owner->second);
    // It may be answered after this and granted before.
    if (owner->second.on_their_way > 0) owner->second.doubted = ++table.now;
    forget_if_unused_locked(table, owner);
    return former;
  });
}

void HeldLocks::restore(InodeId inode, const FileLock& lock,
                        const std::vector<LockRanges::Range>& former) {
  table_.with([&](Table& table) {
    Owner& owner = table.owners[key_of(inode, lock)];
    for (const LockRanges::Range& range : former) owner.ranges.set(with(lock, range));
    changed_locked(table, key_of(inode, lock), owner);
    count_.store(table.owners.size(), std::memory_order_relaxed);
  });
}

void HeldLocks::set_right(InodeId inode, const FileLock& lock, const Send& send) {
  table_.with([&](Table& table) {
    const auto owner = table.owners.find(key_of(inode, lock));
    std::vector<LockRanges::Range> held;
    ++table.now;
    if (owner != table.owners.end()) {
      owner->second.doubted = table.now;
      held = owner->second.ranges.within(lock.start, lock.end);
    }
    std::uint64_t at = lock.start;
    for (const LockRanges::Range& range : held) {
      if (range.start > at) send(unlocking(lock, at, range.start));
      send(with(lock, range));
      at = range.end;
    }
    if (at < lock.end) send(unlocking(lock, at, lock.end));
  });
}

std::vector<FileLock> HeldLocks::end_of(InodeId inode, const void* through) {
  std::vector<FileLock> ends;
  if (!any()) return ends;
  table_.with([&](Table& table) {
    auto owner = table.owners.lower_bound(Key{inode, LockFamily{}, 0});
    while (owner != table.owners.end() && owner->first.inode == inode) {
      const auto at = owner++;
      if (at->second.through != through) continue;
      FileLock end;
      end.family = at->first.family;
      end.owner = at->first.owner;
      end = unlocking(end, 0, kLockEndMax);
      at->second.ranges.set(end);
      changed_locked(table, at->first, at->second);
      ends.push_back(end);
      forget_if_unused_locked(table, at);
    }
  });
  return ends;
}

void HeldLocks::remember_in(LockMemo& memo) {
  table_.with([&](Table& table) { table.memo = &memo; });
}

void HeldLocks::adopted() {
  table_.with([](Table& table) {
    if (table.memo == nullptr) return;
    table.memo->clear();
    for (const auto& [key, owner] : table.owners) changed_locked(table, key, owner);
  });
}

void HeldLocks::adopt(const HeldLock& held, const void* through) {
  table_.with([&](Table& table) {
    Owner& owner = table.owners[key_of(held.inode, held.lock)];
    owner.ranges.set(held.lock);
    owner.through = through;
    count_.store(table.owners.size(), std::memory_order_relaxed);
  });
}

std::vector<HeldLock> HeldLocks::say_all() {
  return table_.with([](Table& table) {
    std::vector<HeldLock> all;
    for (const auto& [key, owner] : table.owners) {
      FileLock lock;
      lock.family = key.family;
      lock.owner = key.owner;
      for (const LockRanges::Range& range : owner.ranges.all())
        all.push_back({key.inode, with(lock, range)});
    }
    table.said = ++table.now;
    return all;
  });
}

std::size_t HeldLocks::forget_all() {
  return table_.with([&](Table& table) {
    std::size_t count = 0;
    for (auto at = table.owners.begin(); at != table.owners.end();) {
      const auto owner = at++;
      count += owner->second.ranges.size();
      owner->second.ranges = {};
      changed_locked(table, owner->first, owner->second);
      forget_if_unused_locked(table, owner);
    }
    table.said = ++table.now;
    return count;
  });
}

void HeldLocks::changed_locked(Table& table, const Key& key, const Owner& owner) {
  if (table.memo == nullptr) return;
  std::vector<FileLock> locks;
  FileLock lock;
  lock.family = key.family;
  lock.owner = key.owner;
  for (const LockRanges::Range& range : owner.ranges.all()) locks.push_back(with(lock, range));
  table.memo->set(key.inode, key.family, key.owner, locks);
}

void HeldLocks::end_locked(Table& table, Owners::iterator owner) {
  --owner->second.on_their_way;
  forget_if_unused_locked(table, owner);
}

void HeldLocks::forget_if_unused_locked(Table& table, Owners::iterator owner) {
  if (owner->second.on_their_way == 0 && owner->second.ranges.empty()) table.owners.erase(owner);
  count_.store(table.owners.size(), std::memory_order_relaxed);
}

}  // namespace dfs
