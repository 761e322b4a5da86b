// The inodes in use: open, with bytes to send, or used a short while ago.
//
// Bound: idle ones beyond `idle_max` are forgotten; those in use are as many
// as the programs have open.
// Threads: any.
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <unordered_map>
#include <vector>

#include "common/base/guarded.h"
#include "common/client/inode_state.h"

namespace dfs {

class InodeTable {
 public:
  // Hears of an inode, which is locked, before it is forgotten: what was learnt
  // while it was here is nowhere else.
  using Forgetting = std::function<void(const InodeState&)>;

  InodeTable(WriteBuffer& buffer, std::size_t idle_max, Forgetting forgetting)
      : buffer_(buffer), idle_max_(idle_max), forgetting_(std::move(forgetting)) {}

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
  const Forgetting forgetting_;
  mutable std::array<Guarded<Shard>, kShards> shards_;
};

}  // namespace dfs
