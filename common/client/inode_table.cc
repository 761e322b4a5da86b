#include "common/client/inode_table.h"

namespace dfs {
namespace {

// Looked at per insertion into a full table: enough to keep it at its bound,
// few enough not to be felt.
constexpr int kLooksPerInsertion = 8;

}  // namespace

InodeStatePtr InodeTable::find(InodeId inode) const {
  return shard_of(inode).with([&](const Shard& shard) -> InodeStatePtr {
    const auto it = shard.states.find(inode);
    return it == shard.states.end() ? nullptr : it->second;
  });
}

InodeStatePtr InodeTable::find_or_make(InodeId inode) {
  return shard_of(inode).with([&](Shard& shard) {
    const auto it = shard.states.find(inode);
    if (it != shard.states.end()) return it->second;
    if (shard.states.size() >= idle_max_ / kShards) forget_idle(shard);
    return shard.states.emplace(inode, std::make_shared<InodeState>(inode, buffer_)).first->second;
  });
}

void InodeTable::forget_idle(Shard& shard) const {
  std::vector<InodeId> idle;
  for (int look = 0; look < kLooksPerInsertion; ++look) {
    shard.hand = (shard.hand + 1) % shard.states.bucket_count();
    for (auto it = shard.states.begin(shard.hand); it != shard.states.end(shard.hand); ++it) {
      // Only the table refers to it, and new references come from here.
      if (it->second.use_count() > 1) continue;
      const std::lock_guard lock(it->second->mutex);
      if (!it->second->idle_locked()) continue;
      forgetting_(*it->second);
      idle.push_back(it->first);
    }
  }
  for (const InodeId inode : idle) shard.states.erase(inode);
}

std::vector<InodeStatePtr> InodeTable::open_inodes() const {
  std::vector<InodeStatePtr> result;
  for (Guarded<Shard>& guarded : shards_) {
    guarded.with([&](const Shard& shard) {
      for (const auto& [inode, state] : shard.states) {
        const std::lock_guard lock(state->mutex);
        if (state->opens > 0) result.push_back(state);
      }
    });
  }
  return result;
}

std::vector<InodeStatePtr> InodeTable::all() const {
  std::vector<InodeStatePtr> result;
  for (Guarded<Shard>& guarded : shards_) {
    guarded.with([&](const Shard& shard) {
      for (const auto& [inode, state] : shard.states) result.push_back(state);
    });
  }
  return result;
}

std::size_t InodeTable::size() const {
  std::size_t total = 0;
  for (const Guarded<Shard>& guarded : shards_) {
    total += guarded.with([](const Shard& shard) { return shard.states.size(); });
  }
  return total;
}

}  // namespace dfs
