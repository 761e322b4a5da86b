#include "common/client/name_cache.h"

#include "common/client/next_to_forget.h"

namespace dfs {

void NameCache::learn(InodeId directory, std::string_view name, InodeId inode,
                      std::uint64_t order) {
  take(directory, name, {inode, order});
}

void NameCache::forget(InodeId directory, std::string_view name, std::uint64_t order) {
  take(directory, name, {std::nullopt, order});
}

void NameCache::take(InodeId directory, std::string_view name, const Entry& entry) {
  const View key{directory, name};
  shard_of(key).with([&](Shard& shard) {
    const auto found = shard.names.find(key);
    if (entry.order == 0) {
      if (found != shard.names.end()) shard.names.erase(found);
      return;
    }
    if (found != shard.names.end()) {
      if (entry.order >= found->second.order) found->second = entry;
      return;
    }
    if (shard.names.size() >= per_shard_max_) forget_next(shard.names, shard.hand);
    shard.names.emplace(Key{directory, std::string(name)}, entry);
  });
}

std::optional<NameCache::Entry> NameCache::look_up(InodeId directory, std::string_view name) const {
  const View key{directory, name};
  return shard_of(key).with([&](const Shard& shard) -> std::optional<Entry> {
    const auto found = shard.names.find(key);
    if (found == shard.names.end()) return std::nullopt;
    return found->second;
  });
}

std::optional<NameCache::Known> NameCache::find(InodeId directory, std::string_view name) const {
  const std::optional<Entry> entry = look_up(directory, name);
  if (!entry || !entry->inode || !gate_.holds(directory, entry->order)) return std::nullopt;
  return Known{*entry->inode};
}

bool NameCache::may_keep(InodeId directory, std::string_view name, InodeId inode) const {
  const std::optional<Entry> entry = look_up(directory, name);
  return entry && entry->inode == inode && gate_.keeps(directory, entry->order);
}

}  // namespace dfs
