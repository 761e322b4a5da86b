// Attributes of inodes that are not in use, as the server last told them.
//
// It may forget anything at any time, and does so around the table when that is full. Inodes in use keep theirs in the inode
// table.
//
// Bound: `inodes_max` entries.
// Threads: any.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <unordered_map>

#include "common/base/clock.h"
#include "common/base/guarded.h"
#include "common/client/freshness.h"
#include "common/rpc/meta_api.h"

namespace dfs {

class MetaCache {
 public:
  // `freshness` must outlive the cache.
  MetaCache(std::size_t inodes_max, const Freshness& freshness)
      : per_shard_max_(inodes_max / kShards + 1), freshness_(freshness) {}

  void learn(const Attributes& attributes, SteadyTime now);
  void forget(InodeId inode);
  void forget_all();
  // Empty if unknown or not true for sure any more.
  std::optional<Attributes> find(InodeId inode) const;
  // The same however long ago.
  std::optional<Attributes> last_told(InodeId inode) const;
  // The server has moved an access time.
  void moved(const AccessTime& time);

 private:
  static constexpr std::size_t kShards = 16;
  struct Known {
    Attributes attributes;
    SteadyTime at;
  };
  struct Shard {
    std::unordered_map<InodeId, Known> inodes;
    std::size_t hand = 0;  // the bucket where something was forgotten last
  };

  const std::size_t per_shard_max_;
  const Freshness& freshness_;
  mutable std::array<Guarded<Shard>, kShards> shards_;
};

}  // namespace dfs
