#include "common/client/meta_cache.h"

namespace dfs {

void MetaCache::learn(const Attributes& attributes, SteadyTime now) {
  shards_[attributes.inode.value() % kShards].with([&](Shard& shard) {
    const auto it = shard.find(attributes.inode);
    if (it != shard.end()) {
      if (attributes.change >= it->second.attributes.change) it->second = {attributes, now};
      return;
    }
    // Which one goes hardly matters: they are of use for a second or so.
    if (shard.size() >= per_shard_max_) shard.erase(shard.begin());
    shard.emplace(attributes.inode, Known{attributes, now});
  });
}

void MetaCache::forget(InodeId inode) {
  shards_[inode.value() % kShards].with([&](Shard& shard) { shard.erase(inode); });
}

std::optional<Attributes> MetaCache::find(InodeId inode, SteadyTime now) const {
  return shards_[inode.value() % kShards].with([&](const Shard& shard) -> std::optional<Attributes> {
    const auto it = shard.find(inode);
    if (it == shard.end() || now - it->second.at >= timeout_) return std::nullopt;
    return it->second.attributes;
  });
}

std::optional<Attributes> MetaCache::last_told(InodeId inode) const {
  return shards_[inode.value() % kShards].with([&](const Shard& shard) -> std::optional<Attributes> {
    const auto it = shard.find(inode);
    if (it == shard.end()) return std::nullopt;
    return it->second.attributes;
  });
}

void MetaCache::moved(const AccessTime& time) {
  shards_[time.inode.value() % kShards].with([&](Shard& shard) {
    const auto it = shard.find(time.inode);
    if (it == shard.end() || it->second.attributes.atime != time.seen) return;
    it->second.attributes.atime = time.accessed;
  });
}

}  // namespace dfs
