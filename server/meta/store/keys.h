// How the keys of the metadata tables look in the key-value store.
//
// A key is one letter for the table and then the parts of the row's key:
// ids and offsets big-endian, so that rows sort as their numbers do, and names
// as they are, last. Bytewise order is therefore table, directory or file,
// position.
//
//   I inode            D parent name      E parent cookie    X inode offset
//   A inode name       C chunk            G chunk            O inode
//   P group            M server chunk     N server           S session
//   R session sequence  V inode           W inode            T chunk
//   cluster
//
// C and G sort by group first: a chunk id has its group in the high bits.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/bytes.h"
#include "common/base/ids.h"

namespace dfs {

// A row named by an inode and a name: a directory entry, or an extended
// attribute. The view borrows the name.
struct NamedView {
  InodeId inode;
  std::string_view name;
  friend auto operator<=>(const NamedView&, const NamedView&) = default;
};
struct NamedKey {
  InodeId inode;
  std::string name;

  NamedKey() = default;
  NamedKey(InodeId of, std::string called) : inode(of), name(std::move(called)) {}
  explicit NamedKey(NamedView view) : inode(view.inode), name(view.name) {}
  operator NamedView() const { return {inode, name}; }
};

// A directory entry by its place in the listing.
struct ListingKey {
  InodeId parent;
  std::uint64_t cookie = 0;
  friend auto operator<=>(const ListingKey&, const ListingKey&) = default;
};
struct ExtentKey {
  InodeId inode;
  std::uint64_t offset = 0;  // bytes from the start of the file
  friend auto operator<=>(const ExtentKey&, const ExtentKey&) = default;
};
struct MissingKey {
  ServerId server;
  ChunkId chunk;
  friend auto operator<=>(const MissingKey&, const MissingKey&) = default;
};
struct ReplyKey {
  SessionId session;
  Sequence sequence;
  friend auto operator<=>(const ReplyKey&, const ReplyKey&) = default;
};
// There is one such row.
struct ClusterKey {
  friend auto operator<=>(const ClusterKey&, const ClusterKey&) = default;
};

namespace keys {

inline void append(std::string& raw, std::uint64_t value) {
  char bytes[sizeof value];
  store_be64(bytes, value);
  raw.append(bytes, sizeof bytes);
}
inline void append(std::string& raw, std::uint32_t value) {
  char bytes[sizeof value];
  store_be32(bytes, value);
  raw.append(bytes, sizeof bytes);
}
template <typename Tag, typename Rep>
void append(std::string& raw, Strong<Tag, Rep> id) {
  append(raw, id.value());
}
inline void append(std::string& raw, ChunkId chunk) { append(raw, chunk.value()); }
inline void append(std::string& raw, NamedView key) {
  append(raw, key.inode);
  raw.append(key.name);
}
inline void append(std::string& raw, const ListingKey& key) {
  append(raw, key.parent);
  append(raw, key.cookie);
}
inline void append(std::string& raw, const ExtentKey& key) {
  append(raw, key.inode);
  append(raw, key.offset);
}
inline void append(std::string& raw, const MissingKey& key) {
  append(raw, key.server);
  append(raw, key.chunk);
}
inline void append(std::string& raw, const ReplyKey& key) {
  append(raw, key.session);
  append(raw, key.sequence);
}
inline void append(std::string& raw, ClusterKey) { raw.append("luster"); }

// The other way round, for what follows the letter. False if `raw` is not
// such a key.
template <typename Tag>
bool parse(std::string_view raw, Strong<Tag, std::uint64_t>& id) {
  if (raw.size() != 8) return false;
  id = Strong<Tag, std::uint64_t>{load_be64(raw.data())};
  return true;
}
template <typename Tag>
bool parse(std::string_view raw, Strong<Tag, std::uint32_t>& id) {
  if (raw.size() != 4) return false;
  id = Strong<Tag, std::uint32_t>{load_be32(raw.data())};
  return true;
}
bool parse(std::string_view raw, ChunkId& chunk);
bool parse(std::string_view raw, NamedKey& key);
bool parse(std::string_view raw, ListingKey& key);
bool parse(std::string_view raw, ExtentKey& key);
bool parse(std::string_view raw, MissingKey& key);
bool parse(std::string_view raw, ReplyKey& key);
bool parse(std::string_view raw, ClusterKey& key);

// "D 00000000000000010061": for messages about rows that do not hold.
std::string for_people(std::string_view raw_key);

}  // namespace keys

}  // namespace dfs
