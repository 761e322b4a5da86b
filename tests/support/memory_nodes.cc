#include "tests/support/memory_nodes.h"

#include <sys/stat.h>

#include <utility>

#include "common/base/clock.h"

namespace dfs {
namespace {

constexpr std::uint64_t kDirectoryBytes = 4096;

}  // namespace

void MemoryNode::resize(std::uint64_t size) {
  bytes.resize(size);
  attributes.size = size;
  attributes.allocated = size;
}

void MemoryNode::accessed(bool keeps_access_time) {
  if (!keeps_access_time) attributes.atime = SystemClock::instance().wall();
}

void MemoryNode::touch(Change change) {
  const WallNanos now = SystemClock::instance().wall();
  attributes.ctime = now;
  ++attributes.change;
  if (change == Change::attributes) return;
  attributes.mtime = now;
  ++attributes.data_change;
}

MemoryNodes::MemoryNodes() {
  MemoryNode& root = nodes_[kRootInode];
  root.attributes.inode = kRootInode;
  root.attributes.type = FileType::directory;
  root.attributes.mode = 0755;
  root.attributes.nlink = 2;
  root.attributes.size = kDirectoryBytes;
  root.attributes.generation = 1;
  root.parent = kRootInode;
  root.touch(MemoryNode::Change::contents);
}

Result<MemoryNode*> MemoryNodes::find(InodeId inode) {
  const auto found = nodes_.find(inode);
  if (found == nodes_.end()) return fail(Errc::stale);
  return &found->second;
}

Result<MemoryNode*> MemoryNodes::find_directory(InodeId inode) {
  MemoryNode* node = TRY(find(inode));
  if (!node->is_directory()) return fail(Errc::not_directory);
  return node;
}

Result<MemoryNode*> MemoryNodes::child(MemoryNode& directory, const std::string& name) {
  if (name == ".") return &directory;
  if (name == "..") return find(directory.parent);
  const auto found = directory.names.find(name);
  if (found == directory.names.end()) return fail(Errc::not_found);
  return find(found->second.inode);
}

Result<MemoryNode*> MemoryNodes::add(InodeId parent, const std::string& name, FileType type,
                                     std::uint32_t mode, const Caller& caller) {
  if (name.size() > kNameMax) return fail(Errc::name_too_long);
  MemoryNode* directory = TRY(find_directory(parent));
  if (directory->attributes.nlink == 0) return fail(Errc::not_found);
  if (directory->names.contains(name)) return fail(Errc::exists);

  MemoryNode& node = make(*directory, type, mode, caller);
  if (type == FileType::directory) {
    node.parent = parent;
    ++directory->attributes.nlink;
  }
  attach(*directory, name, node.attributes.inode);
  return &node;
}

Result<MemoryNode*> MemoryNodes::add_unnamed(InodeId parent, std::uint32_t mode,
                                             const Caller& caller) {
  const MemoryNode* directory = TRY(find_directory(parent));
  MemoryNode& node = make(*directory, FileType::regular, mode, caller);
  node.attributes.nlink = 0;
  return &node;
}

MemoryNode& MemoryNodes::make(const MemoryNode& directory, FileType type, std::uint32_t mode,
                              const Caller& caller) {
  const InodeId inode{next_inode_++};
  MemoryNode node;
  node.attributes.inode = inode;
  node.attributes.type = type;
  node.attributes.mode = mode;
  node.attributes.uid = caller.uid;
  node.attributes.gid = caller.gid;
  node.attributes.nlink = type == FileType::directory ? 2 : 1;
  node.attributes.size = type == FileType::directory ? kDirectoryBytes : 0;
  node.attributes.generation = 1;
  if (directory.attributes.mode & S_ISGID) {
    node.attributes.gid = directory.attributes.gid;
    if (type == FileType::directory) node.attributes.mode |= S_ISGID;
  }
  node.touch(MemoryNode::Change::contents);
  node.attributes.atime = node.attributes.btime = node.attributes.mtime;
  return nodes_.emplace(inode, std::move(node)).first->second;
}

void MemoryNodes::attach(MemoryNode& directory, const std::string& name, InodeId inode) {
  const std::uint64_t cookie = next_cookie_++;
  directory.names[name] = {inode, cookie};
  directory.order[cookie] = name;
  directory.touch(MemoryNode::Change::contents);
}

void MemoryNodes::detach(MemoryNode& directory, const std::string& name) {
  const auto found = directory.names.find(name);
  directory.order.erase(found->second.cookie);
  directory.names.erase(found);
  directory.touch(MemoryNode::Change::contents);
}

void MemoryNodes::drop_if_unused(const MemoryNode& node) {
  if (node.attributes.nlink == 0 && node.open == 0) nodes_.erase(node.attributes.inode);
}

}  // namespace dfs
