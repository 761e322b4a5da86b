// Decoded rows of hot tables, kept from one transaction to the next: what
// lets the core answer a lookup without touching the store.
//
// The cache holds what the store holds and nothing else. Transactions fill it
// with rows they read; only Transaction::committed() puts changed rows in, so
// a batch that is given up leaves nothing here. Absent directory entries are
// remembered too.
//
// Rows stay where they are until trim(), which the transaction calls when it
// ends: pointers to records are good for that long, and meanwhile the cache
// may exceed its limits by what one transaction reads.
//
// Threads: one, the core's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "server/meta/store/tables.h"

namespace dfs {

struct RecordCacheLimits {
  std::size_t inode_bytes_max = 96 << 20;   // about 300,000 inodes
  std::size_t dirent_bytes_max = 64 << 20;  // about 400,000 entries with short names
};

// Hashes owned and borrowed keys alike.
struct KeyHash {
  using is_transparent = void;
  std::size_t operator()(InodeId inode) const noexcept {
    return static_cast<std::size_t>(inode.value() * 0x9e3779b97f4a7c15ULL);
  }
  std::size_t operator()(NamedView key) const noexcept {
    return std::hash<std::string_view>{}(key.name) ^ (*this)(key.inode);
  }
};
// Equality and order of keys, owned or borrowed.
template <typename Table>
struct KeyEqual {
  using is_transparent = void;
  using View = typename Table::View;
  bool operator()(const View& a, const View& b) const noexcept { return a == b; }
};
template <typename Table>
struct KeyLess {
  using is_transparent = void;
  using View = typename Table::View;
  bool operator()(const View& a, const View& b) const noexcept { return a < b; }
};

// The cached rows of one table, least recently used last.
template <typename Table>
class CachedRows {
 public:
  using Key = typename Table::Key;
  using View = typename Table::View;
  using Record = typename Table::Record;
  // Empty: the store has no such row.
  using Known = std::optional<Record>;

  explicit CachedRows(std::size_t bytes_max) : bytes_max_(bytes_max) {}
  CachedRows(const CachedRows&) = delete;
  CachedRows& operator=(const CachedRows&) = delete;

  // Null: not known here; ask the store.
  const Known* find(View key) {
    const auto found = nodes_.find(key);
    if (found == nodes_.end()) return nullptr;
    if (&found->second != newest_) {
      unlink(found->second);
      link_newest(found->second);
    }
    return &found->second.known;
  }
  // What the store has under `key` now.
  const Known& keep(View key, Known known) {
    auto found = nodes_.find(key);
    if (found == nodes_.end()) {
      found = nodes_.emplace(Key(key), Node{}).first;
      found->second.key = &found->first;
    } else {
      bytes_ -= found->second.bytes;
      unlink(found->second);
    }
    Node& node = found->second;
    node.known = std::move(known);
    node.bytes = bytes_of(found->first, node.known);
    bytes_ += node.bytes;
    link_newest(node);
    return node.known;
  }
  // Forgets the least recently used rows down to the limit.
  void trim() {
    while (bytes_ > bytes_max_ && oldest_ != nullptr) drop(*oldest_);
  }
  void clear() {
    while (oldest_ != nullptr) drop(*oldest_);
  }
  std::size_t rows() const { return nodes_.size(); }
  std::size_t bytes() const { return bytes_; }

 private:
  struct Node {
    Known known;
    const Key* key = nullptr;
    Node* newer = nullptr;
    Node* older = nullptr;
    std::size_t bytes = 0;
  };

  static std::size_t bytes_of(InodeId, const std::optional<InodeRecord>& known) {
    return kNodeBytes + (known ? known->target.capacity() : 0);
  }
  static std::size_t bytes_of(const NamedKey& key, const std::optional<DirentRecord>&) {
    return kNodeBytes + key.name.capacity();
  }
  void link_newest(Node& node) {
    node.newer = nullptr;
    node.older = newest_;
    if (newest_ != nullptr) newest_->newer = &node;
    newest_ = &node;
    if (oldest_ == nullptr) oldest_ = &node;
  }
  void unlink(Node& node) {
    (node.newer != nullptr ? node.newer->older : newest_) = node.older;
    (node.older != nullptr ? node.older->newer : oldest_) = node.newer;
  }
  void drop(Node& node) {
    unlink(node);
    bytes_ -= node.bytes;
    nodes_.erase(nodes_.find(View(*node.key)));
  }

  // A node of the hash table with its link, its cached hash and its bucket.
  static constexpr std::size_t kNodeBytes = sizeof(Node) + sizeof(Key) + 32;

  const std::size_t bytes_max_;
  std::size_t bytes_ = 0;
  std::unordered_map<Key, Node, KeyHash, KeyEqual<Table>> nodes_;
  Node* newest_ = nullptr;
  Node* oldest_ = nullptr;
};

class RecordCache {
 public:
  explicit RecordCache(const RecordCacheLimits& limits = {})
      : rows_(limits.inode_bytes_max, limits.dirent_bytes_max) {}

  template <typename Table>
  CachedRows<Table>& of() {
    return std::get<CachedRows<Table>>(rows_);
  }
  void trim() {
    std::apply([](auto&... rows) { (rows.trim(), ...); }, rows_);
  }
  // After anything but a transaction has changed the store.
  void clear() {
    std::apply([](auto&... rows) { (rows.clear(), ...); }, rows_);
  }

 private:
  std::tuple<CachedRows<tables::Inodes>, CachedRows<tables::Dirents>> rows_;
};

}  // namespace dfs
