// Inodes without a name whose contents are still there, and when to look at
// each of them next: the table `O`, as the core remembers it.
//
// An orphan is looked at when its time has come; if a session holds it then,
// it waits for released(), otherwise it is purged.
//
// Threads: the core's; no locks.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <unordered_map>

#include "common/base/clock.h"
#include "common/base/ids.h"

namespace dfs {

class OrphanQueue {
 public:
  // To be looked at from `due` on; of two times for one inode the earlier counts.
  void add(InodeId inode, SteadyTime due);
  // Nobody holds it any more. Nothing happens if it is no orphan.
  void released(InodeId inode, SteadyTime now);
  // The next one that is due; not returned again before add() or released().
  std::optional<InodeId> take_due(SteadyTime now);
  // It is purged.
  void forget(InodeId inode);

  std::size_t size() const { return known_.size(); }
  bool contains(InodeId inode) const { return known_.contains(inode); }

 private:
  using Schedule = std::multimap<SteadyTime, InodeId>;

  Schedule schedule_;
  // Where each is in the schedule; end(): it waits for released().
  std::unordered_map<InodeId, Schedule::iterator> known_;
};

}  // namespace dfs
