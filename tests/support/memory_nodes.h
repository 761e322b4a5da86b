// The files and directories of a file system in memory: what they hold, and
// how they hang together.
//
// Threads: none of its own; whoever has it locks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/base/result.h"
#include "common/rpc/meta_api.h"

namespace dfs {

struct MemoryNode {
  struct Name {
    InodeId inode;
    std::uint64_t cookie = 0;
  };
  Attributes attributes;
  InodeId parent;                               // directories
  std::unordered_map<std::string, Name> names;  // directories
  std::map<std::uint64_t, std::string> order;   // directories: cookie -> name
  std::vector<std::byte> bytes;
  std::string target;
  std::map<std::string, std::string> xattrs;
  unsigned open = 0;
  bool changed_elsewhere = false;  // since a lock was last given
  bool was_locked = false;         // by a process of this mount

  bool is_directory() const { return attributes.type == FileType::directory; }
  void resize(std::uint64_t size);
  // It was read now: every time counts.
  void accessed(bool keeps_access_time);
  // It changes now.
  enum class Change { attributes, contents };
  void touch(Change change);
};

class MemoryNodes {
 public:
  // Only the root directory.
  MemoryNodes();

  //   stale          there is no such inode
  Result<MemoryNode*> find(InodeId inode);
  //   not_directory  it is none
  Result<MemoryNode*> find_directory(InodeId inode);
  //   not_found      `directory` has no such name
  Result<MemoryNode*> child(MemoryNode& directory, const std::string& name);
  const MemoryNode& at(InodeId inode) const { return nodes_.at(inode); }
  MemoryNode& at(InodeId inode) { return nodes_.at(inode); }
  std::size_t size() const { return nodes_.size(); }

  // A new one. Errors: those of find_directory(), name_too_long, exists,
  // not_found (the directory has been removed).
  Result<MemoryNode*> add(InodeId parent, const std::string& name, FileType type,
                          std::uint32_t mode, const Caller& caller);
  // The same without a name.
  Result<MemoryNode*> add_unnamed(InodeId parent, std::uint32_t mode, const Caller& caller);
  void attach(MemoryNode& directory, const std::string& name, InodeId inode);
  void detach(MemoryNode& directory, const std::string& name);
  // Without a name and not open: gone.
  void drop_if_unused(const MemoryNode& node);

 private:
  // Known by its inode number only.
  MemoryNode& make(const MemoryNode& directory, FileType type, std::uint32_t mode,
                   const Caller& caller);

  std::unordered_map<InodeId, MemoryNode> nodes_;
  std::uint64_t next_inode_ = 2;
  std::uint64_t next_cookie_ = 1;
};

}  // namespace dfs
