#include "common/client/meta_cache.h"

#include <algorithm>

#include "common/client/next_to_forget.h"

namespace dfs {

void MetaCache::learn(const Attributes& attributes, SteadyTime now) {
  shards_[attributes.inode.value() % kShards].with([&](Shard& shard) {
    const auto it = shard.inodes.find(attributes.inode);
    if (it != shard.inodes.end()) {
      Known& known = it->second;
      if (attributes.change < known.attributes.change) return;
      const std::uint64_t former_order =
          attributes.change == known.attributes.change ? known.attributes.lease_order : 0;
      known = {attributes, now};
      known.attributes.lease_order = std::max(attributes.lease_order, former_order);
      return;
    }
    if (shard.inodes.size() >= per_shard_max_) forget_next(shard.inodes, shard.hand);
    shard.inodes.emplace(attributes.inode, Known{attributes, now});
  });
}

void MetaCache::forget(InodeId inode) {
  shards_[inode.value() % kShards].with([&](Shard& shard) { shard.inodes.erase(inode); });
}

void MetaCache::forget_all() {
  for (auto& each : shards_) each.with([](Shard& shard) { shard.inodes.clear(); });
}

std::optional<Attributes> MetaCache::find(InodeId inode) const {
  const auto known =
      shards_[inode.value() % kShards].with([&](const Shard& shard) -> std::optional<Known> {
        const auto it = shard.inodes.find(inode);
        if (it == shard.inodes.end()) return std::nullopt;
        return it->second;
      });
  if (!known || !freshness_.usable(known->attributes, known->at)) return std::nullopt;
  return known->attributes;
}

std::optional<Attributes> MetaCache::last_told(InodeId inode) const {
  return shards_[inode.value() % kShards].with([&](const Shard& shard) -> std::optional<Attributes> {
    const auto it = shard.inodes.find(inode);
    if (it == shard.inodes.end()) return std::nullopt;
    return it->second.attributes;
  });
}

void MetaCache::moved(const AccessTime& time) {
  shards_[time.inode.value() % kShards].with([&](Shard& shard) {
    const auto it = shard.inodes.find(time.inode);
    if (it == shard.inodes.end() || it->second.attributes.atime != time.seen) return;
    it->second.attributes.atime = time.accessed;
  });
}

}  // namespace dfs
