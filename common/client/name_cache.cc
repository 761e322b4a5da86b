#include "common/client/name_cache.h"

namespace dfs {

void NameCache::learn(InodeId directory, std::string_view name, InodeId inode,
                      std::uint64_t order) {
  const View key{directory, name};
  shard_of(key).with([&](Shard& shard) {
    const auto found = shard.find(key);
    if (order == 0) {
      if (found != shard.end()) shard.erase(found);
      return;
    }
    if (found != shard.end()) {
      if (order >= found->second.order) found->second = {inode, order};
      return;
    }
    // Which one goes hardly matters: it can be asked for again.
    if (shard.size() >= per_shard_max_) shard.erase(shard.begin());
    shard.emplace(Key{directory, std::string(name)}, Entry{inode, order});
  });
}

std::optional<NameCache::Entry> NameCache::look_up(InodeId directory, std::string_view name) const {
  const View key{directory, name};
  return shard_of(key).with([&](const Shard& shard) -> std::optional<Entry> {
    const auto found = shard.find(key);
    if (found == shard.end()) return std::nullopt;
    return found->second;
  });
}

std::optional<NameCache::Known> NameCache::find(InodeId directory, std::string_view name) const {
  const std::optional<Entry> entry = look_up(directory, name);
  if (!entry || !gate_.holds(directory, entry->order)) return std::nullopt;
  return Known{entry->inode};
}

bool NameCache::may_keep(InodeId directory, std::string_view name, InodeId inode) const {
  const std::optional<Entry> entry = look_up(directory, name);
  return entry && entry->inode == inode && gate_.keeps(directory, entry->order);
}

}  // namespace dfs
