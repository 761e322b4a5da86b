// What the operations should do, in the plainest way: a file system of maps
// in memory, where a file's contents are a list of cells. Nothing of the real
// one is used but the types of arguments and errors.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/rpc/meta_api.h"

namespace dfs {

// One byte of a file: which byte of which chunk it is. Chunk 0: a hole.
using Cell = std::pair<ChunkId, std::uint32_t>;

class Model {
 public:
  struct Inode {
    FileType type = FileType::regular;
    std::uint32_t names = 0;
    InodeId parent;  // directories
    std::map<std::string, InodeId> entries;
    std::vector<Cell> cells;
    std::string target;
    std::map<std::string, std::string> xattrs;
  };

  Model();

  // Each does what is asked or says why not; `made` is the id a new inode got.
  Errc create(const CreateArgs& args, InodeId made);
  Errc symlink(const SymlinkArgs& args, InodeId made);
  Errc link(const LinkArgs& args);
  Errc unlink(const UnlinkArgs& args);
  Errc rename(const RenameArgs& args);
  Errc resize(InodeId inode, std::uint64_t size);
  Errc commit(const CommitArgs& args);
  Errc clone(const CloneArgs& args);
  Errc set_xattr(const SetXattrArgs& args);
  Errc remove_xattr(const RemoveXattrArgs& args);
  void hold(InodeId inode) { held_.insert(inode); }
  void release(InodeId inode);

  const std::map<InodeId, Inode>& inodes() const { return inodes_; }
  const std::set<InodeId>& held() const { return held_; }
  std::uint32_t nlink(InodeId inode) const;
  // The chunks that files use, and those that were used once.
  std::set<ChunkId> used() const;
  const std::set<ChunkId>& uploaded() const { return uploaded_; }

 private:
  Inode* find(InodeId inode);
  Errc parent_error(InodeId parent);
  void lose_name(InodeId inode);
  void drop_if_unused(InodeId inode);
  bool is_below(InodeId place, InodeId directory) const;

  std::map<InodeId, Inode> inodes_;
  std::set<InodeId> held_;
  std::set<ChunkId> uploaded_;
};

}  // namespace dfs
