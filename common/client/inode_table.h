// The inodes in use: open, with bytes to send, or used a short while ago.
//
// Bound: idle ones beyond `idle_max` are forgotten; those in use are as many
// as the programs have open.
// Threads: any.
#pragma once

#include <array>
#include <cstddef>
#include <unordered_map>
#include <vector>

#include "common/base/guarded.h"
#include "common/client/inode_state.h"

namespace dfs {

class InodeTable {
 public:
  InodeTable(WriteBuffer& buffer, std::size_t idle_max) : buffer_(buffer), idle_max_(idle_max) {}

  // Null if it is not in use.
  InodeStatePtr find(InodeId inode) const;
  InodeStatePtr find_or_make(InodeId inode);
  // Those that this session holds open.
  std::vector<InodeStatePtr> open_inodes() const;
  std::vector<InodeStatePtr> all() const;
  std::size_t size() const;

 private:
  static constexpr std::size_t kShards = 16;
  struct Shard {
    std::unordered_map<InodeId, InodeStatePtr> states;
    std::size_t hand = 0;  // the bucket looked at next for something to forget
  };

  Guarded<Shard>& shard_of(InodeId inode) const { return shards_[inode.value() % kShards]; }
  void forget_idle(Shard& shard) const;

  WriteBuffer& buffer_;
  const std::size_t idle_max_;
  mutable std::array<Guarded<Shard>, kShards> shards_;
};

}  // namespace dfs
