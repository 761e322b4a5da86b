#include "server/meta/sessions/lock_table.h"

#include <algorithm>
#include <utility>

namespace dfs {
namespace {

// Owners looked at in search of a circle; a longer chain is taken for none.
constexpr std::size_t kChainMax = 1'024;
// Inodes released in one go when a session ends.
constexpr std::size_t kReleasedAtOnceMax = 512;

}  // namespace

Result<bool> LockTable::set(SessionId session, const SetLockArgs& args) {
  const FileLock& lock = args.lock;
  if (lock.kind == LockKind::unlocked) {
    TRY(check_room(session, args.inode, lock));
    if (apply(session, args.inode, lock)) settle(args.inode);
    forget_if_unused(session);
    return true;
  }

  bool weaker = false;
  if (const LockRanges* mine = find_ranges(session, args.inode, lock)) {
    if (mine->holds(lock)) return true;
    if (lock.family == LockFamily::flock) {
      FileLock former = lock;
      former.kind = LockKind::unlocked;
      weaker = apply(session, args.inode, former);
    }
  }

  const bool blocked = is_blocked(session, args.inode, lock);
  Result<void> room;
  if (!blocked) room = check_room(session, args.inode, lock);
  if (!blocked && room) weaker |= apply(session, args.inode, lock);
  if (weaker) settle(args.inode);
  if (!blocked) return room ? Result<bool>(true) : fail(std::move(room).error());

  if (!args.wait) return fail(Errc::again, "somebody else has locked it");
  if (lock.family == LockFamily::posix && would_deadlock(session, args.inode, lock))
    return fail(Errc::deadlock, "its holder waits for a lock of ours");
  const auto known = sessions_.find(session);
  if (known != sessions_.end()) {
    if (known->second.waits.contains(args.ticket))
      return fail(Errc::invalid, "another request waits with the same ticket");
    if (known->second.waits.size() >= limits_.waits_per_session_max)
      return fail(Errc::no_locks, "too many programs of the session wait for locks");
  }
  if (inodes_.at(args.inode).waits.size() >= limits_.waits_per_inode_max)
    return fail(Errc::no_locks, "too many wait for locks on the file");
  add_wait(session, args);
  return false;
}

LockResult LockTable::in_the_way(SessionId session, const GetLockArgs& args) const {
  LockResult found;
  visit_blockers(session, args.inode, args.lock,
                 [&](const Owner& owner, const LockRanges::Range& range) {
                   found = {FileLock{owner.family, range.kind, owner.number, range.start,
                                     range.end, range.process},
                            owner.session};
                   return false;
                 });
  return found;
}

bool LockTable::only_weakens(SessionId session, InodeId inode, const FileLock& lock) const {
  if (lock.kind == LockKind::unlocked) return true;
  const LockRanges* mine = find_ranges(session, inode, lock);
  if (mine == nullptr) return false;
  FileLock exclusive = lock;
  exclusive.kind = LockKind::exclusive;
  return mine->holds(lock) || mine->holds(exclusive);
}

bool LockTable::cancel(SessionId session, std::uint64_t ticket) {
  const auto known = sessions_.find(session);
  if (known == sessions_.end()) return false;
  const auto wait = known->second.waits.find(ticket);
  if (wait == known->second.waits.end()) return false;
  remove_wait(wait->second);
  forget_if_unused(session);
  return true;
}

void LockTable::drop_waits(SessionId session) {
  const auto known = sessions_.find(session);
  if (known == sessions_.end()) return;
  while (!known->second.waits.empty()) remove_wait(known->second.waits.begin()->second);
  forget_if_unused(session);
}

std::size_t LockTable::replace(SessionId session, const std::vector<HeldLock>& locks) {
  drop_waits(session);
  std::set<InodeId> touched;
  if (const auto known = sessions_.find(session); known != sessions_.end()) {
    touched = known->second.inodes;
    for (const InodeId inode : touched) drop_locks(session, inode);
  }
  std::size_t refused = 0;
  for (const HeldLock& held : locks) {
    const bool possible = !is_blocked(session, held.inode, held.lock) &&
                          locks_of(session) < limits_.locks_per_session_max;
    if (!possible) {
      ++refused;
      continue;
    }
    apply(session, held.inode, held.lock);
    touched.insert(held.inode);
  }
  // Not before: what stays held must not be given to others in between.
  for (const InodeId inode : touched) settle(inode);
  forget_if_unused(session);
  return refused;
}

bool LockTable::release_some(SessionId session) {
  drop_waits(session);
  const auto known = sessions_.find(session);
  if (known == sessions_.end()) return true;
  for (std::size_t count = 0; count < kReleasedAtOnceMax && !known->second.inodes.empty();
       ++count) {
    const InodeId inode = *known->second.inodes.begin();
    drop_locks(session, inode);
    settle(inode);
  }
  const bool done = known->second.inodes.empty();
  forget_if_unused(session);
  return done;
}

std::vector<HeldLock> LockTable::held_by(SessionId session) const {
  std::vector<HeldLock> held;
  const auto of_session = sessions_.find(session);
  if (of_session == sessions_.end()) return held;
  for (const InodeId inode : of_session->second.inodes)
    for (const auto& [owner, ranges] : inodes_.at(inode).holders)
      if (owner.session == session)
        for (const LockRanges::Range& range : ranges.all())
          held.push_back({inode, {.family = owner.family,
                                  .kind = range.kind,
                                  .owner = owner.number,
                                  .start = range.start,
                                  .end = range.end,
                                  .process = range.process}});
  return held;
}

std::size_t LockTable::locks_of(SessionId session) const {
  const auto known = sessions_.find(session);
  return known == sessions_.end() ? 0 : known->second.locks;
}

bool LockTable::has_waits(SessionId session) const {
  const auto known = sessions_.find(session);
  return known != sessions_.end() && !known->second.waits.empty();
}

const LockRanges* LockTable::find_ranges(SessionId session, InodeId inode,
                                         const FileLock& lock) const {
  const auto found = inodes_.find(inode);
  if (found == inodes_.end()) return nullptr;
  const auto mine = found->second.holders.find(owner_of(session, lock));
  return mine == found->second.holders.end() ? nullptr : &mine->second;
}

// A lock adds two ranges at most: itself, and the rest of one that it splits.
Result<void> LockTable::check_room(SessionId session, InodeId inode, const FileLock& lock) const {
  const std::size_t locks = locks_of(session);
  std::size_t added = 2;
  if (lock.kind == LockKind::unlocked) {
    const LockRanges* mine = find_ranges(session, inode, lock);
    added = mine != nullptr && mine->is_split_by(lock) ? 1 : 0;
  }
  if (added == 0 || locks + added <= limits_.locks_per_session_max) return {};
  return fail(Errc::no_locks, "the session holds as many locks as it may");
}

template <typename Visit>
void LockTable::visit_blockers(SessionId session, InodeId inode, const FileLock& lock,
                               Visit&& visit) const {
  const auto found = inodes_.find(inode);
  if (found == inodes_.end()) return;
  const Owner self = owner_of(session, lock);
  const Owner first{lock.family, SessionId{}, 0};
  const auto& holders = found->second.holders;
  for (auto at = holders.lower_bound(first); at != holders.end(); ++at) {
    if (at->first.family != lock.family) return;
    if (at->first == self) continue;
    const auto range = at->second.in_the_way_of(lock);
    if (range && !visit(at->first, *range)) return;
  }
}

bool LockTable::is_blocked(SessionId session, InodeId inode, const FileLock& lock) const {
  bool blocked = false;
  visit_blockers(session, inode, lock, [&](const Owner&, const LockRanges::Range&) {
    blocked = true;
    return false;
  });
  return blocked;
}

bool LockTable::would_deadlock(SessionId session, InodeId inode, const FileLock& lock) const {
  const Owner self = owner_of(session, lock);
  std::vector<Owner> ahead;
  const auto add_blockers = [&](SessionId who, InodeId where, const FileLock& what) {
    visit_blockers(who, where, what, [&](const Owner& owner, const LockRanges::Range&) {
      ahead.push_back(owner);
      return ahead.size() < kChainMax;
    });
  };
  add_blockers(session, inode, lock);
  std::set<Owner> seen;
  while (!ahead.empty()) {
    const Owner owner = ahead.back();
    ahead.pop_back();
    if (owner == self) return true;
    if (!seen.insert(owner).second) continue;
    if (seen.size() >= kChainMax) return false;
    const auto [begin, end] = waiting_owners_.equal_range(owner);
    for (auto at = begin; at != end; ++at)
      add_blockers(at->second->session, at->second->inode, at->second->lock);
  }
  return false;
}

bool LockTable::apply(SessionId session, InodeId inode, const FileLock& lock) {
  if (lock.kind == LockKind::unlocked && !inodes_.contains(inode)) return false;
  Inode& there = inodes_[inode];
  const Owner owner = owner_of(session, lock);
  if (lock.kind == LockKind::unlocked && !there.holders.contains(owner)) return false;

  LockRanges& ranges = there.holders[owner];
  bool weaker = false;
  for (const LockRanges::Range& former : ranges.within(lock.start, lock.end))
    weaker |= lock.kind == LockKind::unlocked ||
              (lock.kind == LockKind::shared && former.kind == LockKind::exclusive);
  OfSession& mine = sessions_[session];
  mine.locks -= ranges.size();
  lock_count_ -= ranges.size();
  ranges.set(lock);
  mine.locks += ranges.size();
  lock_count_ += ranges.size();
  if (!ranges.empty()) {
    mine.inodes.insert(inode);
    return weaker;
  }
  there.holders.erase(owner);
  const bool has_more = std::any_of(there.holders.begin(), there.holders.end(),
                                    [&](auto& other) { return other.first.session == session; });
  if (!has_more) mine.inodes.erase(inode);
  return weaker;
}

void LockTable::drop_locks(SessionId session, InodeId inode) {
  Inode& there = inodes_.at(inode);
  OfSession& mine = sessions_.at(session);
  std::erase_if(there.holders, [&](const auto& holder) {
    if (holder.first.session != session) return false;
    mine.locks -= holder.second.size();
    lock_count_ -= holder.second.size();
    return true;
  });
  mine.inodes.erase(inode);
}

void LockTable::add_wait(SessionId session, const SetLockArgs& args) {
  Waits& waits = inodes_.at(args.inode).waits;
  const auto wait = waits.insert(waits.end(), {session, args.ticket, args.inode, args.lock});
  sessions_[session].waits.emplace(args.ticket, wait);
  if (args.lock.family == LockFamily::posix)
    waiting_owners_.emplace(owner_of(session, args.lock), &*wait);
  ++wait_count_;
}

void LockTable::remove_wait(Waits::iterator wait) {
  sessions_.at(wait->session).waits.erase(wait->ticket);
  const auto [begin, end] = waiting_owners_.equal_range(owner_of(wait->session, wait->lock));
  for (auto at = begin; at != end; ++at) {
    if (at->second != &*wait) continue;
    waiting_owners_.erase(at);
    break;
  }
  inodes_.at(wait->inode).waits.erase(wait);
  --wait_count_;
}

void LockTable::settle(InodeId inode) {
  const auto found = inodes_.find(inode);
  if (found == inodes_.end()) return;
  Waits& waits = found->second.waits;
  for (auto at = waits.begin(); at != waits.end();) {
    if (is_blocked(at->session, inode, at->lock)) {
      ++at;
      continue;
    }
    const auto wait = at++;
    const SessionId session = wait->session;
    const Result<void> room = check_room(session, inode, wait->lock);
    const bool weaker = room && apply(session, inode, wait->lock);
    settled_.push_back({session, wait->ticket, inode, room});
    remove_wait(wait);
    forget_if_unused(session);
    // What took the place of an exclusive lock may let earlier ones in.
    if (weaker) at = waits.begin();
  }
  if (waits.empty() && found->second.holders.empty()) inodes_.erase(found);
}

void LockTable::forget_if_unused(SessionId session) {
  const auto known = sessions_.find(session);
  if (known == sessions_.end()) return;
  if (known->second.inodes.empty() && known->second.waits.empty()) sessions_.erase(known);
}

}  // namespace dfs
