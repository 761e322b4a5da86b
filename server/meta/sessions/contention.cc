#include "server/meta/sessions/contention.h"

#include <iterator>
#include <utility>

namespace dfs {

void Contention::taken(InodeId inode, SteadyTime now) {
  const auto [place, is_new] = places_.try_emplace(inode);
  if (is_new) {
    place->second = inodes_.insert(inodes_.end(), Inode{});
    place->second->inode = inode;
  } else {
    inodes_.splice(inodes_.end(), inodes_, place->second);
  }
  Inode& found = *place->second;
  found.taken.add(now);
  found.last_event = now;
  if (!found.contended && found.taken.all_after(now - kWindow)) {
    found.contended = true;
    found.since = now;
    ++contended_;
    ++to_contended_;
  }
  if (inodes_.size() > kInodesMax) forget(inodes_.begin());
}

void Contention::asked(InodeId inode, SessionId session, SteadyTime now) {
  const auto place = places_.find(inode);
  if (place == places_.end()) return;
  Inode& found = *place->second;
  const SessionId before = std::exchange(found.last_asked, session);
  if (before == session || before == SessionId{}) return;
  found.turns.add(now);
  found.last_event = now;
  inodes_.splice(inodes_.end(), inodes_, place->second);
}

bool Contention::is_contended(InodeId inode, SteadyTime now) {
  const auto place = places_.find(inode);
  if (place == places_.end() || !place->second->contended) return false;
  if (!is_over(*place->second, now)) return true;
  forget(place->second);
  return false;
}

void Contention::expire(SteadyTime now) {
  for (auto inode = inodes_.begin(); inode != inodes_.end();) {
    const auto next = std::next(inode);
    if (is_over(*inode, now)) forget(inode);
    inode = next;
  }
}

bool Contention::is_over(const Inode& inode, SteadyTime now) {
  const SteadyTime from = now - kWindow;
  if (!inode.contended) return inode.last_event <= from;
  return inode.since <= from && !inode.turns.all_after(from);
}

void Contention::forget(Inodes::iterator inode) {
  if (inode->contended) {
    --contended_;
    ++to_calm_;
  }
  places_.erase(inode->inode);
  inodes_.erase(inode);
}

}  // namespace dfs
