#include "server/meta/sessions/orphan_queue.h"

namespace dfs {

void OrphanQueue::add(InodeId inode, SteadyTime due) {
  const auto [known, is_new] = known_.try_emplace(inode, schedule_.end());
  if (known->second != schedule_.end()) {
    if (known->second->first <= due) return;
    schedule_.erase(known->second);
  }
  known->second = schedule_.emplace(due, inode);
}

void OrphanQueue::released(InodeId inode, SteadyTime now) {
  if (known_.contains(inode)) add(inode, now);
}

std::optional<InodeId> OrphanQueue::take_due(SteadyTime now) {
  if (schedule_.empty() || schedule_.begin()->first > now) return std::nullopt;
  const InodeId inode = schedule_.begin()->second;
  schedule_.erase(schedule_.begin());
  known_[inode] = schedule_.end();
  return inode;
}

void OrphanQueue::forget(InodeId inode) {
  const auto known = known_.find(inode);
  if (known == known_.end()) return;
  if (known->second != schedule_.end()) schedule_.erase(known->second);
  known_.erase(known);
}

}  // namespace dfs
