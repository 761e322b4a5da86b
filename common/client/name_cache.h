// What names lead to, as far as a lease on their directory says: also that there
// is none.
//
// It may forget anything at any time, and does so around the table when that is
// full. Of two answers about a name the one with the higher order counts,
// whichever comes first.
//
// Bound: `names_max` entries. Threads: any.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "common/base/guarded.h"
#include "common/base/ids.h"
#include "common/client/lease_gate.h"

namespace dfs {

class NameCache {
 public:
  // `gate` must outlive the cache.
  NameCache(const LeaseGate& gate, std::size_t names_max)
      : gate_(gate), per_shard_max_(names_max / kShards + 1) {}

  struct Known {
    InodeId inode;  // 0: there is no such name
    bool absent() const { return inode == InodeId{}; }
  };
  // The server said so with `order`, the order of a lease on the directory. With
  // order 0 nothing is known of the name any more.
  void learn(InodeId directory, std::string_view name, InodeId inode, std::uint64_t order);
  // It was changed with `order`, who knows into what: what was said before does
  // not count.
  void forget(InodeId directory, std::string_view name, std::uint64_t order);

  // Empty if it is not known, or not true for sure any more.
  std::optional<Known> find(InodeId directory, std::string_view name) const;
  // The same where the kernel would keep it.
  bool may_keep(InodeId directory, std::string_view name, InodeId inode) const;

 private:
  static constexpr std::size_t kShards = 32;
  struct Key {
    InodeId directory;
    std::string name;
  };
  struct View {
    InodeId directory;
    std::string_view name;
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(const View& key) const {
      return std::hash<std::string_view>()(key.name) ^ (key.directory.value() * 0x9e3779b97f4a7c15u);
    }
    std::size_t operator()(const Key& key) const { return (*this)(View{key.directory, key.name}); }
  };
  struct Equal {
    using is_transparent = void;
    static View view(const Key& key) { return {key.directory, key.name}; }
    static View view(const View& key) { return key; }
    template <typename A, typename B>
    bool operator()(const A& a, const B& b) const {
      return view(a).directory == view(b).directory && view(a).name == view(b).name;
    }
  };
  struct Entry {
    std::optional<InodeId> inode;  // empty: only that what is older does not count
    std::uint64_t order = 0;
  };
  struct Shard {
    std::unordered_map<Key, Entry, Hash, Equal> names;
    std::size_t hand = 0;  // the bucket where something was forgotten last
  };

  void take(InodeId directory, std::string_view name, const Entry& entry);
  std::optional<Entry> look_up(InodeId directory, std::string_view name) const;
  Guarded<Shard>& shard_of(const View& key) const { return shards_[Hash()(key) % kShards]; }

  const LeaseGate& gate_;
  const std::size_t per_shard_max_;
  mutable std::array<Guarded<Shard>, kShards> shards_;
};

}  // namespace dfs
