// The inodes of the metadata double: attributes, names, extents, and which
// chunks they still refer to.
//
// Threads: none of its own; whoever has it locks.
#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/client/range_map.h"
#include "common/rpc/meta_api.h"
#include "tests/support/fake_storage_pool.h"

namespace dfs {

struct FakeInode {
  using Extents = RangeMap<ChunkId>;

  Attributes attributes;
  Extents extents;
  std::map<std::string, InodeId> names;
  std::string target;
  std::map<std::string, std::string> xattrs;
  InodeId parent;
  std::size_t opens = 0;
  bool may_be_open = false;  // without having been told

  // Those that end behind `from`.
  std::vector<Extent> list(std::uint64_t from) const {
    std::vector<Extent> result;
    extents.visit(0, UINT64_MAX, [&](const Extents::Range& range) {
      if (range.end() <= from) return;
      result.push_back({range.offset, static_cast<std::uint32_t>(range.length), range.source,
                        static_cast<std::uint32_t>(range.source_offset)});
    });
    return result;
  }
};

class FakeInodes {
 public:
  // Only the root directory. `storage` and `clock` must outlive this.
  FakeInodes(FakeStoragePool& storage, const Clock& clock, std::uint32_t chunk_size)
      : storage_(storage), clock_(clock), chunk_size_(chunk_size) {
    FakeInode root;
    root.attributes = new_attributes(kRootInode, FileType::directory, 0755);
    inodes_[kRootInode] = root;
  }

  //   stale      there is no such inode
  Result<FakeInode*> find(InodeId inode) {
    const auto it = inodes_.find(inode);
    if (it == inodes_.end()) return fail(Errc::stale, "no such inode");
    return &it->second;
  }
  //   not_found  the directory has no such name
  Result<FakeInode*> find_named(InodeId parent, const std::string& name) {
    FakeInode* directory = TRY(find(parent));
    const auto it = directory->names.find(name);
    if (it == directory->names.end()) return fail(Errc::not_found, name);
    return find(it->second);
  }
  FakeInode& at(InodeId inode) { return inodes_.at(inode); }
  const FakeInode& at(InodeId inode) const { return inodes_.at(inode); }
  bool contains(InodeId inode) const { return inodes_.contains(inode); }
  std::size_t size() const { return inodes_.size(); }

  // A new one, without a name yet.
  FakeInode& add(InodeId parent, FileType type, std::uint32_t mode, std::uint64_t rdev) {
    const InodeId id{++last_inode_};
    FakeInode& inode = inodes_[id];
    inode.attributes = new_attributes(id, type, mode);
    inode.attributes.rdev = rdev;
    inode.parent = parent;
    return inode;
  }
  void touch(FakeInode& inode) {
    ++inode.attributes.change;
    inode.attributes.ctime = clock_.wall();
  }
  void touch_contents(FakeInode& inode) {
    touch(inode);
    ++inode.attributes.data_change;
    inode.attributes.allocated = inode.extents.bytes();
  }
  static void count_xattrs(FakeInode& inode) {
    inode.attributes.xattrs = static_cast<std::uint32_t>(inode.xattrs.size());
  }

  // It has lost a name; what it looks like after that. With `keep` its contents
  // stay, whatever is known of who has it open.
  Attributes unlinked(FakeInode& inode, bool keep) {
    inode.may_be_open = keep;
    inode.attributes.nlink -= inode.attributes.type == FileType::directory ? 2 : 1;
    touch(inode);
    const Attributes after = inode.attributes;
    forget_if_unused(after.inode);
    return after;
  }
  void forget_if_unused(InodeId inode) {
    const FakeInode& it = inodes_.at(inode);
    if (it.attributes.nlink == 0 && it.opens == 0 && !it.may_be_open) forget(inode);
  }
  void forget(InodeId inode) {
    cut(inodes_.at(inode), 0, UINT64_MAX);
    inodes_.erase(inode);
  }

  void lay(FakeInode& inode, const Extent& extent) {
    references_[extent.chunk] += extent.length;
    inode.extents.insert({extent.file_offset, extent.length, extent.chunk, extent.chunk_offset},
                         [this](const FakeInode::Extents::Range& range) { unrefer(range); });
  }
  void cut(FakeInode& inode, std::uint64_t offset, std::uint64_t length) {
    inode.extents.erase(offset, length,
                        [this](const FakeInode::Extents::Range& range) { unrefer(range); });
  }
  void resize(FakeInode& inode, std::uint64_t size) {
    if (size == inode.attributes.size) return;
    if (size < inode.attributes.size) cut(inode, size, UINT64_MAX - size);
    inode.attributes.size = size;
    inode.attributes.mtime = clock_.wall();
    touch_contents(inode);
  }
  // Deletes the chunks that nothing refers to any more.
  void collect_garbage() {
    for (const ChunkId chunk : dead_) {
      if (references_[chunk] > 0) continue;
      references_.erase(chunk);
      storage_.delete_chunk(chunk);
    }
    dead_.clear();
  }

 private:
  Attributes new_attributes(InodeId inode, FileType type, std::uint32_t mode) {
    Attributes attributes;
    attributes.inode = inode;
    attributes.type = type;
    attributes.mode = mode;
    attributes.nlink = type == FileType::directory ? 2 : 1;
    attributes.atime = attributes.mtime = attributes.ctime = attributes.btime = clock_.wall();
    attributes.generation = ++generation_;
    attributes.change = 1;
    if (type == FileType::regular) attributes.chunk_size = chunk_size_;
    return attributes;
  }
  void unrefer(const FakeInode::Extents::Range& range) {
    if ((references_[range.source] -= range.length) == 0) dead_.insert(range.source);
  }

  FakeStoragePool& storage_;
  const Clock& clock_;
  const std::uint32_t chunk_size_;
  std::map<InodeId, FakeInode> inodes_;
  std::map<ChunkId, std::uint64_t> references_;
  std::set<ChunkId> dead_;
  std::uint64_t last_inode_ = 1;
  std::uint64_t generation_ = 0;
};

}  // namespace dfs
