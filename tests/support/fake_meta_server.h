// A metadata server in memory: inodes, names, extents, as
// proto/dfs/v1/meta.proto says. Simple and slow.
//
// It watches its clients: a broken promise (a commit of a chunk that no
// server has; a synced commit of one that is not on stable media) is noted in
// violations(). Chunks that nothing refers to any more are deleted from the
// storage double at once, the hardest that a client may meet.
//
// Threads: any.
#pragma once

#include <algorithm>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/client/range_map.h"
#include "common/rpc/meta_api.h"
#include "tests/support/fake_storage_pool.h"

namespace dfs {

class FakeMetaServer {
 public:
  // Groups are numbered from 1 in the order of `groups`.
  FakeMetaServer(FakeStoragePool& storage, const std::vector<std::vector<std::uint32_t>>& groups,
                 const Clock& clock, EventLog* log = nullptr, std::uint32_t chunk_size = 256 * KiB)
      : storage_(storage), clock_(clock), log_(log), chunk_size_(chunk_size) {
    auto table = std::make_shared<GroupTable>();
    table->version = 1;
    for (std::size_t i = 0; i < groups.size(); ++i) {
      Group group;
      group.group = GroupId{static_cast<std::uint32_t>(i + 1)};
      group.epoch = Epoch{1};
      for (const std::uint32_t id : groups[i]) {
        group.members.push_back({ServerId{id}, MemberState::active});
        ServerInfo info;
        info.server = ServerId{id};
        info.alive = true;
        table->servers[ServerId{id}] = info;
      }
      table->groups[group.group] = group;
    }
    table_ = table;
    Inode root;
    root.attributes = new_attributes(kRootInode, FileType::directory, 0755);
    inodes_[kRootInode] = root;
  }

  Result<MetaResult> run(const MetaArgs& args) {
    const std::lock_guard lock(mutex_);
    Result<MetaResult> result =
        std::visit([this](const auto& typed) -> Result<MetaResult> { return act(typed); }, args);
    collect_garbage();
    return result;
  }

  GroupTablePtr group_table() const {
    const std::lock_guard lock(mutex_);
    return table_;
  }
  template <typename Change>
  void change_table(Change&& change) {
    const std::lock_guard lock(mutex_);
    auto table = std::make_shared<GroupTable>(*table_);
    ++table->version;
    change(*table);
    table_ = table;
  }
  std::uint32_t chunk_size() const { return chunk_size_; }

  // --- for tests ---
  std::vector<std::string> violations() const {
    const std::lock_guard lock(mutex_);
    return violations_;
  }
  Attributes attributes(InodeId inode) const {
    const std::lock_guard lock(mutex_);
    return inodes_.at(inode).attributes;
  }
  std::vector<Extent> extents(InodeId inode) const {
    const std::lock_guard lock(mutex_);
    return list(inodes_.at(inode), 0);
  }
  std::vector<ChunkPlacement> placements() const {
    const std::lock_guard lock(mutex_);
    return placements_;
  }
  std::vector<ReportArgs> reports() const {
    const std::lock_guard lock(mutex_);
    return reports_;
  }
  std::size_t commits() const { return counted(commits_); }
  std::size_t files_committed() const { return counted(files_committed_); }
  std::size_t syncs() const { return counted(syncs_); }
  std::size_t allocations() const { return counted(allocations_); }
  std::size_t opens(InodeId inode) const {
    const std::lock_guard lock(mutex_);
    return inodes_.at(inode).opens;
  }
  bool exists(InodeId inode) const {
    const std::lock_guard lock(mutex_);
    return inodes_.count(inode) > 0;
  }
  // So many answers to get_extents list few extents at a time.
  void set_extents_per_page(std::uint32_t count) {
    const std::lock_guard lock(mutex_);
    extents_per_page_ = count;
  }
  void set_full(bool full) {
    const std::lock_guard lock(mutex_);
    full_ = full;
  }
  // As when an administrator removes a file that is open.
  void destroy(InodeId inode) {
    const std::lock_guard lock(mutex_);
    drop_contents(inodes_.at(inode));
    inodes_.erase(inode);
    collect_garbage();
  }

 private:
  using Extents = RangeMap<ChunkId>;
  struct Inode {
    Attributes attributes;
    Extents extents;
    std::map<std::string, InodeId> names;
    std::string target;
    std::map<std::string, std::string> xattrs;
    InodeId parent;
    std::size_t opens = 0;
  };

  template <typename T>
  T counted(const T& counter) const {
    const std::lock_guard lock(mutex_);
    return counter;
  }

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
  Result<Inode*> find(InodeId inode) {
    const auto it = inodes_.find(inode);
    if (it == inodes_.end()) return fail(Errc::stale, "no such inode");
    return &it->second;
  }
  Result<Inode*> find_named(InodeId parent, const std::string& name) {
    Inode* directory = TRY(find(parent));
    const auto it = directory->names.find(name);
    if (it == directory->names.end()) return fail(Errc::not_found, name);
    return find(it->second);
  }
  void touch(Inode& inode) {
    ++inode.attributes.change;
    inode.attributes.ctime = clock_.wall();
  }
  void touch_contents(Inode& inode) {
    touch(inode);
    ++inode.attributes.data_change;
    inode.attributes.allocated = inode.extents.bytes();
  }
  static std::vector<Extent> list(const Inode& inode, std::uint64_t from) {
    std::vector<Extent> result;
    inode.extents.visit(0, UINT64_MAX, [&](const Extents::Range& range) {
      if (range.end() <= from) return;
      result.push_back({range.offset, static_cast<std::uint32_t>(range.length), range.source,
                        static_cast<std::uint32_t>(range.source_offset)});
    });
    return result;
  }
  void drop_contents(Inode& inode) { cut(inode, 0, UINT64_MAX); }
  void cut(Inode& inode, std::uint64_t offset, std::uint64_t length) {
    inode.extents.erase(offset, length, [this](const Extents::Range& range) { unrefer(range); });
  }
  void unrefer(const Extents::Range& range) {
    if ((references_[range.source] -= range.length) == 0) dead_.insert(range.source);
  }
  void collect_garbage() {
    for (const ChunkId chunk : dead_) {
      if (references_[chunk] > 0) continue;
      references_.erase(chunk);
      storage_.delete_chunk(chunk);
    }
    dead_.clear();
  }
  void resize(Inode& inode, std::uint64_t size) {
    if (size == inode.attributes.size) return;
    if (size < inode.attributes.size) cut(inode, size, UINT64_MAX - size);
    inode.attributes.size = size;
    inode.attributes.mtime = clock_.wall();
    touch_contents(inode);
  }
  void forget_if_unused(InodeId inode) {
    Inode& it = inodes_.at(inode);
    if (it.attributes.nlink > 0 || it.opens > 0) return;
    drop_contents(it);
    inodes_.erase(inode);
  }

  // --- names ---
  Result<MetaResult> act(const LookupArgs& args) {
    const Inode* inode = TRY(find_named(args.parent, args.name));
    return EntryResult{inode->attributes, std::nullopt};
  }
  Result<MetaResult> act(const CreateArgs& args) {
    Inode* parent = TRY(find(args.parent));
    const auto there = parent->names.find(args.name);
    if (there != parent->names.end()) {
      if (args.exclusive) return fail(Errc::exists, args.name);
      return open_inode(inodes_.at(there->second), args.truncate);
    }
    const InodeId id{++last_inode_};
    Inode inode;
    inode.attributes = new_attributes(id, args.type, args.mode);
    inode.attributes.rdev = args.rdev;
    inode.parent = args.parent;
    inodes_[id] = inode;
    parent->names[args.name] = id;
    touch(*parent);
    if (!args.open) return EntryResult{inodes_[id].attributes, parent->attributes};
    OpenResult result = open_inode(inodes_[id], false);
    result.parent = parent->attributes;
    result.created = true;
    return result;
  }
  Result<MetaResult> act(const SymlinkArgs& args) {
    CreateArgs create;
    create.parent = args.parent;
    create.name = args.name;
    create.type = FileType::symlink;
    create.mode = 0777;
    create.exclusive = true;
    const MetaResult made = TRY(act(create));
    const EntryResult entry = std::get<EntryResult>(made);
    inodes_[entry.attributes.inode].target = args.target;
    return made;
  }
  Result<MetaResult> act(const ReadlinkArgs& args) {
    const Inode* inode = TRY(find(args.inode));
    return ReadlinkResult{inode->target};
  }
  Result<MetaResult> act(const LinkArgs& args) {
    Inode* inode = TRY(find(args.inode));
    Inode* parent = TRY(find(args.new_parent));
    if (!parent->names.emplace(args.new_name, args.inode).second) return fail(Errc::exists);
    ++inode->attributes.nlink;
    touch(*inode);
    touch(*parent);
    return EntryResult{inode->attributes, parent->attributes};
  }
  Result<MetaResult> act(const UnlinkArgs& args) {
    Inode* inode = TRY(find_named(args.parent, args.name));
    Inode& parent = inodes_.at(args.parent);
    const bool directory = inode->attributes.type == FileType::directory;
    if (args.directory && !directory) return fail(Errc::not_directory);
    if (!args.directory && directory) return fail(Errc::is_directory);
    if (directory && !inode->names.empty()) return fail(Errc::not_empty);
    parent.names.erase(args.name);
    touch(parent);
    RemovedResult result;
    result.removed = unlinked(*inode);
    result.parent = parent.attributes;
    return result;
  }
  Attributes unlinked(Inode& inode) {
    inode.attributes.nlink -= inode.attributes.type == FileType::directory ? 2 : 1;
    touch(inode);
    const Attributes after = inode.attributes;
    forget_if_unused(after.inode);
    return after;
  }
  Result<MetaResult> act(const RenameArgs& args) {
    Inode* moved = TRY(find_named(args.parent, args.name));
    Inode* parent = TRY(find(args.parent));
    Inode* new_parent = TRY(find(args.new_parent));
    RemovedResult result;
    const auto there = new_parent->names.find(args.new_name);
    if (there != new_parent->names.end()) {
      if (args.no_replace) return fail(Errc::exists);
      if (there->second != moved->attributes.inode) {
        result.removed = unlinked(inodes_.at(there->second));
      }
    }
    const InodeId id = moved->attributes.inode;
    parent->names.erase(args.name);
    new_parent->names[args.new_name] = id;
    touch(*moved);
    touch(*parent);
    result.moved = moved->attributes;
    result.parent = parent->attributes;
    if (args.parent != args.new_parent) result.new_parent = new_parent->attributes;
    return result;
  }
  Result<MetaResult> act(const ReadDirArgs& args) {
    const Inode* directory = TRY(find(args.inode));
    ReadDirResult result;
    result.parent = directory->parent;
    result.end = true;
    std::uint64_t cookie = 0;
    for (const auto& [name, inode] : directory->names) {
      if (++cookie <= args.cookie) continue;
      if (result.entries.size() == args.entries_max) {
        result.end = false;
        break;
      }
      result.entries.push_back({name, inodes_.at(inode).attributes, cookie});
    }
    return result;
  }

  // --- attributes ---
  Result<MetaResult> act(const GetAttrArgs& args) {
    const Inode* inode = TRY(find(args.inode));
    return AttributesResult{inode->attributes};
  }
  Result<MetaResult> act(const SetAttrArgs& args) {
    Inode* inode = TRY(find(args.inode));
    if (args.size) resize(*inode, *args.size);
    Attributes& attributes = inode->attributes;
    if (args.mode) attributes.mode = *args.mode;
    if (args.uid) attributes.uid = *args.uid;
    if (args.gid) attributes.gid = *args.gid;
    if (args.atime) attributes.atime = *args.atime;
    if (args.mtime) attributes.mtime = *args.mtime;
    if (args.mtime_now) attributes.mtime = clock_.wall();
    touch(*inode);
    return AttributesResult{attributes};
  }
  Result<MetaResult> act(const SetXattrArgs& args) {
    Inode* inode = TRY(find(args.inode));
    inode->xattrs[args.name] = args.value;
    touch(*inode);
    return AttributesResult{inode->attributes};
  }
  Result<MetaResult> act(const GetXattrArgs& args) {
    const Inode* inode = TRY(find(args.inode));
    const auto it = inode->xattrs.find(args.name);
    if (it == inode->xattrs.end()) return fail(Errc::no_data);
    return XattrResult{it->second, {}};
  }
  Result<MetaResult> act(const ListXattrArgs& args) {
    const Inode* inode = TRY(find(args.inode));
    XattrResult result;
    for (const auto& [name, value] : inode->xattrs) result.names.push_back(name);
    return result;
  }
  Result<MetaResult> act(const RemoveXattrArgs& args) {
    Inode* inode = TRY(find(args.inode));
    if (inode->xattrs.erase(args.name) == 0) return fail(Errc::no_data);
    touch(*inode);
    return AttributesResult{inode->attributes};
  }
  Result<MetaResult> act(const StatFsArgs&) { return StatFsResult{1 * TiB, 512 * GiB, inodes_.size()}; }

  // --- contents ---
  OpenResult open_inode(Inode& inode, bool truncate) {
    if (truncate) resize(inode, 0);
    ++inode.opens;
    OpenResult result;
    result.attributes = inode.attributes;
    result.extents = list(inode, 0);
    result.extents_complete = result.extents.size() <= extents_per_page_;
    if (!result.extents_complete) result.extents.resize(extents_per_page_);
    return result;
  }
  Result<MetaResult> act(const OpenArgs& args) {
    Inode* inode = TRY(find(args.inode));
    return open_inode(*inode, args.truncate);
  }
  Result<MetaResult> act(const ReleaseArgs& args) {
    Inode* inode = TRY(find(args.inode));
    inode->opens -= std::min<std::size_t>(inode->opens, args.count);
    forget_if_unused(args.inode);
    return EmptyResult{};
  }
  Result<MetaResult> act(const GetExtentsArgs& args) {
    const Inode* inode = TRY(find(args.inode));
    ExtentsResult result;
    result.extents = list(*inode, args.offset);
    const std::size_t page = std::min(args.extents_max, extents_per_page_);
    result.complete = result.extents.size() <= page;
    if (!result.complete) result.extents.resize(page);
    result.data_change = inode->attributes.data_change;
    return result;
  }
  Result<MetaResult> act(const CommitArgs& args) {
    if (full_) return fail(Errc::no_space, "no room for metadata");
    ++commits_;
    CommitResult result;
    for (const ChunkPlacement& placement : args.placements) placements_.push_back(placement);
    for (const CommitFile& file : args.files) {
      const auto found = find(file.inode);
      if (!found) continue;
      commit_file(**found, file, args);
      result.attributes.push_back((*found)->attributes);
      ++files_committed_;
    }
    if (log_ != nullptr) log_->add(args.sync ? "commit-sync" : "commit");
    return result;
  }
  void commit_file(Inode& inode, const CommitFile& file, const CommitArgs& args) {
    for (const FileRange& hole : file.holes) cut(inode, hole.offset, hole.length);
    for (const Extent& extent : file.extents) {
      check_chunk(extent, args);
      references_[extent.chunk] += extent.length;
      inode.extents.insert({extent.file_offset, extent.length, extent.chunk, extent.chunk_offset},
                           [this](const Extents::Range& range) { unrefer(range); });
    }
    inode.attributes.size = std::max(inode.attributes.size, file.size_at_least);
    touch_contents(inode);
    if (file.mtime) inode.attributes.mtime = inode.attributes.ctime = *file.mtime;
    if (file.clear_set_id) inode.attributes.mode &= 01777;
  }
  void check_chunk(const Extent& extent, const CommitArgs& args) {
    const auto group = table_->groups.find(extent.chunk.group());
    if (group == table_->groups.end()) {
      violations_.push_back("a commit names a chunk of no group");
      return;
    }
    std::vector<ServerId> missing;
    for (const ChunkPlacement& placement : args.placements) {
      if (placement.chunk == extent.chunk) missing = placement.missing_on;
    }
    for (const GroupMember& member : group->second.members) {
      if (std::find(missing.begin(), missing.end(), member.server) != missing.end()) continue;
      if (member.state == MemberState::leaving) continue;
      const std::string where = to_string(extent.chunk) + " on server " + std::to_string(member.server.value());
      if (!storage_.has(member.server, extent.chunk)) violations_.push_back("commit without " + where);
      else if (args.sync && !storage_.synced(member.server, extent.chunk)) {
        violations_.push_back("synced commit without stable " + where);
      }
    }
  }
  Result<MetaResult> act(const AllocateArgs& args) {
    if (full_) return fail(Errc::no_space, "no room");
    TRY(find(args.inode));
    ++allocations_;
    // Groups without the servers to avoid; if there are none, any.
    std::vector<GroupId> good;
    for (const auto& [id, group] : table_->groups) {
      const bool bad = std::any_of(group.members.begin(), group.members.end(), [&](const GroupMember& m) {
        return std::find(args.avoid.begin(), args.avoid.end(), m.server) != args.avoid.end();
      });
      if (!bad) good.push_back(id);
    }
    if (good.empty()) {
      for (const auto& [id, group] : table_->groups) good.push_back(id);
    }
    AllocateResult result;
    const std::uint32_t each = std::max<std::uint32_t>(1, args.count / static_cast<std::uint32_t>(good.size()));
    for (const GroupId id : good) {
      result.ranges.push_back({ChunkId{id, last_serial_ + 1}, each, "capability", 0});
      last_serial_ += each;
    }
    return result;
  }
  Result<MetaResult> act(const SyncArgs&) {
    ++syncs_;
    if (log_ != nullptr) log_->add("meta-sync");
    return EmptyResult{};
  }
  Result<MetaResult> act(const KeepAliveArgs&) { return EmptyResult{}; }
  Result<MetaResult> act(const ReportArgs& args) {
    reports_.push_back(args);
    return EmptyResult{};
  }
  Result<MetaResult> act(const SetPolicyArgs&) { return EmptyResult{}; }
  Result<MetaResult> act(const GetPolicyArgs&) { return PolicyResult{}; }
  Result<MetaResult> act(const ClusterStatusArgs&) { return ClusterStatusResult{}; }

  FakeStoragePool& storage_;
  const Clock& clock_;
  EventLog* const log_;
  const std::uint32_t chunk_size_;
  mutable std::mutex mutex_;
  GroupTablePtr table_;
  std::map<InodeId, Inode> inodes_;
  std::map<ChunkId, std::uint64_t> references_;
  std::set<ChunkId> dead_;
  std::vector<std::string> violations_;
  std::vector<ChunkPlacement> placements_;
  std::vector<ReportArgs> reports_;
  std::uint64_t last_inode_ = 1;
  std::uint64_t generation_ = 0;
  std::uint64_t last_serial_ = 0;
  std::uint32_t extents_per_page_ = 8192;
  std::size_t commits_ = 0;
  std::size_t files_committed_ = 0;
  std::size_t syncs_ = 0;
  std::size_t allocations_ = 0;
  bool full_ = false;
};

}  // namespace dfs
