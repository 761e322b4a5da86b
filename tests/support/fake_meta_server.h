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
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/rpc/consistency.h"
#include "common/rpc/meta_api.h"
#include "server/meta/sessions/lock_table.h"
#include "tests/support/fake_inodes.h"
#include "tests/support/fake_storage_pool.h"

namespace dfs {

class FakeMetaServer {
 public:
  // Groups are numbered from 1 in the order of `groups`.
  FakeMetaServer(FakeStoragePool& storage, const std::vector<std::vector<std::uint32_t>>& groups,
                 const Clock& clock, EventLog* log = nullptr, std::uint32_t chunk_size = 256 * KiB)
      : storage_(storage),
        clock_(clock),
        log_(log),
        chunk_size_(chunk_size),
        inodes_(storage, clock, chunk_size) {
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
  }

  using Done = std::function<void(Result<MetaResult>)>;

  SessionId begin_session() {
    const std::lock_guard lock(mutex_);
    return SessionId{++last_session_};
  }
  // `later` takes the answer to a request that has to wait for a lock: in that
  // case, and only then, the result is empty.
  std::optional<Result<MetaResult>> run(SessionId session, const MetaArgs& args, Done later) {
    std::unique_lock lock(mutex_);
    session_ = session;
    Result<MetaResult> result =
        std::visit([this](const auto& typed) -> Result<MetaResult> { return act(typed); }, args);
    inodes_.collect_garbage();
    const auto* set = std::get_if<SetLockArgs>(&args);
    const bool waits = set != nullptr && set->wait && !result && result.error().code == Errc::busy;
    if (waits) lock_waits_[{session, set->ticket}] = std::move(later);
    answer_waits(std::move(lock));
    if (waits) return std::nullopt;
    return result;
  }
  Result<MetaResult> run(const MetaArgs& args) { return *run(SessionId{1}, args, nullptr); }
  // As when a process with locks goes with its whole machine.
  void end_session(SessionId session) {
    std::unique_lock lock(mutex_);
    while (!locks_.release_some(session)) {
    }
    answer_waits(std::move(lock));
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
  std::size_t locks() const {
    const std::lock_guard lock(mutex_);
    return locks_.locks();
  }
  std::size_t lock_waits() const {
    const std::lock_guard lock(mutex_);
    return locks_.waits();
  }

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
    return inodes_.at(inode).list(0);
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
    return inodes_.contains(inode);
  }
  // So many answers to get_extents list few extents at a time.
  void set_extents_per_page(std::uint32_t count) {
    const std::lock_guard lock(mutex_);
    extents_per_page_ = count;
  }
  // A clone takes no more at once.
  void set_clone_bytes_max(std::uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    clone_bytes_max_ = bytes;
  }
  void set_full(bool full) {
    const std::lock_guard lock(mutex_);
    full_ = full;
  }
  // As when an administrator removes a file that is open.
  void destroy(InodeId inode) {
    const std::lock_guard lock(mutex_);
    inodes_.forget(inode);
    inodes_.collect_garbage();
  }

 private:
  template <typename T>
  T counted(const T& counter) const {
    const std::lock_guard lock(mutex_);
    return counter;
  }

  // --- names ---
  Result<MetaResult> act(const LookupArgs& args) {
    const FakeInode* inode = TRY(inodes_.find_named(args.parent, args.name));
    return EntryResult{inode->attributes, std::nullopt};
  }
  Result<MetaResult> act(const CreateArgs& args) {
    FakeInode* parent = TRY(inodes_.find(args.parent));
    if (args.unnamed) {
      FakeInode& inode = inodes_.add(args.parent, args.type, args.mode & ~args.umask, 0);
      inode.attributes.nlink = 0;
      OpenResult result = open_inode(inode, false);
      result.created = true;
      return result;
    }
    const auto there = parent->names.find(args.name);
    if (there != parent->names.end()) {
      if (args.exclusive) return fail(Errc::exists, args.name);
      return open_inode(inodes_.at(there->second), args.truncate);
    }
    FakeInode& inode = inodes_.add(args.parent, args.type, args.mode & ~args.umask, args.rdev);
    parent->names[args.name] = inode.attributes.inode;
    inodes_.touch(*parent);
    if (!args.open) return EntryResult{inode.attributes, parent->attributes};
    OpenResult result = open_inode(inode, false);
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
    inodes_.at(entry.attributes.inode).target = args.target;
    return made;
  }
  Result<MetaResult> act(const ReadlinkArgs& args) {
    const FakeInode* inode = TRY(inodes_.find(args.inode));
    return ReadlinkResult{inode->target};
  }
  Result<MetaResult> act(const LinkArgs& args) {
    FakeInode* inode = TRY(inodes_.find(args.inode));
    FakeInode* parent = TRY(inodes_.find(args.new_parent));
    if (!parent->names.emplace(args.new_name, args.inode).second) return fail(Errc::exists);
    ++inode->attributes.nlink;
    inodes_.touch(*inode);
    inodes_.touch(*parent);
    return EntryResult{inode->attributes, parent->attributes};
  }
  Result<MetaResult> act(const UnlinkArgs& args) {
    FakeInode* inode = TRY(inodes_.find_named(args.parent, args.name));
    FakeInode& parent = inodes_.at(args.parent);
    const bool directory = inode->attributes.type == FileType::directory;
    if (args.directory && !directory) return fail(Errc::not_directory);
    if (!args.directory && directory) return fail(Errc::is_directory);
    if (directory && !inode->names.empty()) return fail(Errc::not_empty);
    parent.names.erase(args.name);
    inodes_.touch(parent);
    RemovedResult result;
    result.removed = inodes_.unlinked(*inode);
    result.parent = parent.attributes;
    return result;
  }
  Result<MetaResult> act(const RenameArgs& args) {
    FakeInode* moved = TRY(inodes_.find_named(args.parent, args.name));
    FakeInode* parent = TRY(inodes_.find(args.parent));
    FakeInode* new_parent = TRY(inodes_.find(args.new_parent));
    RemovedResult result;
    const auto there = new_parent->names.find(args.new_name);
    if (there != new_parent->names.end()) {
      if (args.no_replace) return fail(Errc::exists);
      if (there->second != moved->attributes.inode) {
        result.removed = inodes_.unlinked(inodes_.at(there->second));
      }
    }
    const InodeId id = moved->attributes.inode;
    parent->names.erase(args.name);
    new_parent->names[args.new_name] = id;
    inodes_.touch(*moved);
    inodes_.touch(*parent);
    result.moved = moved->attributes;
    result.parent = parent->attributes;
    if (args.parent != args.new_parent) result.new_parent = new_parent->attributes;
    return result;
  }
  Result<MetaResult> act(const ReadDirArgs& args) {
    const FakeInode* directory = TRY(inodes_.find(args.inode));
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
    const FakeInode* inode = TRY(inodes_.find(args.inode));
    return AttributesResult{inode->attributes};
  }
  Result<MetaResult> act(const SetAttrArgs& args) {
    FakeInode* inode = TRY(inodes_.find(args.inode));
    if (args.size) inodes_.resize(*inode, *args.size);
    Attributes& attributes = inode->attributes;
    if (args.mode) attributes.mode = *args.mode;
    if (args.uid) attributes.uid = *args.uid;
    if (args.gid) attributes.gid = *args.gid;
    if (args.atime) attributes.atime = *args.atime;
    if (args.mtime) attributes.mtime = *args.mtime;
    if (args.mtime_now) attributes.mtime = clock_.wall();
    inodes_.touch(*inode);
    return AttributesResult{attributes};
  }
  Result<MetaResult> act(const TouchArgs& args) {
    for (const AccessTime& time : args.times) {
      const auto found = inodes_.find(time.inode);
      if (!found || (*found)->attributes.atime != time.seen) continue;
      (*found)->attributes.atime = time.accessed;
    }
    return EmptyResult{};
  }
  Result<MetaResult> act(const SetXattrArgs& args) {
    FakeInode* inode = TRY(inodes_.find(args.inode));
    if (args.name == kConsistencyName) {
      inode->attributes.consistency = consistency_named(args.value).value();
    } else {
      inode->xattrs[args.name] = args.value;
    }
    inodes_.count_xattrs(*inode);
    inodes_.touch(*inode);
    return AttributesResult{inode->attributes};
  }
  Result<MetaResult> act(const GetXattrArgs& args) {
    const FakeInode* inode = TRY(inodes_.find(args.inode));
    const auto it = inode->xattrs.find(args.name);
    if (it == inode->xattrs.end()) return fail(Errc::no_data);
    return XattrResult{it->second, {}};
  }
  Result<MetaResult> act(const ListXattrArgs& args) {
    const FakeInode* inode = TRY(inodes_.find(args.inode));
    XattrResult result;
    for (const auto& [name, value] : inode->xattrs) result.names.push_back(name);
    return result;
  }
  Result<MetaResult> act(const RemoveXattrArgs& args) {
    FakeInode* inode = TRY(inodes_.find(args.inode));
    if (inode->xattrs.erase(args.name) == 0) return fail(Errc::no_data);
    inodes_.count_xattrs(*inode);
    inodes_.touch(*inode);
    return AttributesResult{inode->attributes};
  }
  Result<MetaResult> act(const StatFsArgs&) { return StatFsResult{1 * TiB, 512 * GiB, inodes_.size()}; }

  // --- locks ---
  Result<MetaResult> act(const SetLockArgs& args) {
    const Result<bool> done = locks_.set(session_, args);
    if (!done) return fail(done.error());
    if (!*done) return fail(Errc::busy, "it waits");
    if (log_ != nullptr) log_->add(args.lock.kind == LockKind::unlocked ? "unlock" : "lock");
    if (args.lock.kind == LockKind::unlocked) return EmptyResult{};
    return act(GetAttrArgs{args.inode});
  }
  Result<MetaResult> act(const GetLockArgs& args) { return locks_.in_the_way(session_, args); }
  Result<MetaResult> act(const CancelLockArgs& args) {
    if (locks_.cancel(session_, args.ticket)) {
      over_.emplace_back(std::move(lock_waits_.extract({session_, args.ticket}).mapped()),
                         fail(Errc::again, "given up"));
    }
    return EmptyResult{};
  }
  void answer_waits(std::unique_lock<std::mutex> lock) {
    for (const LockTable::Settled& settled : locks_.take_settled()) {
      auto wait = lock_waits_.extract({settled.session, settled.ticket});
      if (!wait.empty()) over_.emplace_back(std::move(wait.mapped()), act(GetAttrArgs{settled.inode}));
    }
    const auto over = std::exchange(over_, {});
    lock.unlock();
    for (const auto& [done, result] : over) done(result);
  }

  // --- contents ---
  OpenResult open_inode(FakeInode& inode, bool truncate) {
    if (truncate) inodes_.resize(inode, 0);
    ++inode.opens;
    OpenResult result;
    result.attributes = inode.attributes;
    result.extents = inode.list(0);
    result.extents_complete = result.extents.size() <= extents_per_page_;
    if (!result.extents_complete) result.extents.resize(extents_per_page_);
    return result;
  }
  Result<MetaResult> act(const OpenArgs& args) {
    FakeInode* inode = TRY(inodes_.find(args.inode));
    return open_inode(*inode, args.truncate);
  }
  Result<MetaResult> act(const ReleaseArgs& args) {
    FakeInode* inode = TRY(inodes_.find(args.inode));
    inode->opens -= std::min<std::size_t>(inode->opens, args.count);
    inodes_.forget_if_unused(args.inode);
    return EmptyResult{};
  }
  Result<MetaResult> act(const GetExtentsArgs& args) {
    const FakeInode* inode = TRY(inodes_.find(args.inode));
    ExtentsResult result;
    result.extents = inode->list(args.offset);
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
      const auto found = inodes_.find(file.inode);
      if (!found) continue;
      commit_file(**found, file, args);
      result.attributes.push_back((*found)->attributes);
      ++files_committed_;
    }
    if (log_ != nullptr) log_->add(args.sync ? "commit-sync" : "commit");
    return result;
  }
  void commit_file(FakeInode& inode, const CommitFile& file, const CommitArgs& args) {
    for (const FileRange& hole : file.holes) inodes_.cut(inode, hole.offset, hole.length);
    for (const Extent& extent : file.extents) {
      check_chunk(extent, args);
      inodes_.lay(inode, extent);
    }
    inode.attributes.size = std::max(inode.attributes.size, file.size_at_least);
    inodes_.touch_contents(inode);
    if (file.mtime) inode.attributes.mtime = inode.attributes.ctime = *file.mtime;
    if (file.clear_set_id) inode.attributes.mode &= 01777;
  }
  Result<MetaResult> act(const CloneArgs& args) {
    const FakeInode* source = TRY(inodes_.find(args.source));
    FakeInode* target = TRY(inodes_.find(args.inode));
    const std::uint64_t size = source->attributes.size;
    const std::uint64_t most = std::min(args.length, clone_bytes_max_);
    const std::uint64_t length = std::min(most, size - std::min(size, args.source_offset));
    std::vector<FakeInode::Extents::Range> taken;
    source->extents.visit(
        args.source_offset, length,
        [&](const FakeInode::Extents::Range& range) { taken.push_back(range); });
    inodes_.cut(*target, args.offset, length);
    for (const FakeInode::Extents::Range& range : taken) {
      inodes_.lay(*target, {range.offset + args.offset - args.source_offset,
                            static_cast<std::uint32_t>(range.length), range.source,
                            static_cast<std::uint32_t>(range.source_offset)});
    }
    target->attributes.size = std::max(target->attributes.size, args.offset + length);
    inodes_.touch_contents(*target);
    target->attributes.mtime = target->attributes.ctime = args.mtime;
    if (args.clear_set_id) target->attributes.mode &= 01777;
    return CloneResult{target->attributes, length};
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
    TRY(inodes_.find(args.inode));
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
  // It grants no leases: its sessions want none.
  Result<MetaResult> act(const AcquireLeaseArgs& args) { return act(GetAttrArgs{args.inode}); }
  Result<MetaResult> act(const ReturnLeasesArgs&) { return EmptyResult{}; }
  Result<MetaResult> act(const HoldArgs&) { return EmptyResult{}; }
  Result<MetaResult> act(const SetPolicyArgs&) { return EmptyResult{}; }
  Result<MetaResult> act(const GetPolicyArgs&) { return PolicyResult{}; }
  Result<MetaResult> act(const ClusterStatusArgs&) { return ClusterStatusResult{}; }

  FakeStoragePool& storage_;
  const Clock& clock_;
  EventLog* const log_;
  const std::uint32_t chunk_size_;
  mutable std::mutex mutex_;
  GroupTablePtr table_;
  FakeInodes inodes_;
  std::vector<std::string> violations_;
  std::vector<ChunkPlacement> placements_;
  std::vector<ReportArgs> reports_;
  LockTable locks_{{}};
  std::map<std::pair<SessionId, std::uint64_t>, Done> lock_waits_;  // by ticket
  std::vector<std::pair<Done, Result<MetaResult>>> over_;           // waits, not told yet
  SessionId session_;  // whose request is run
  std::uint64_t last_session_ = 0;
  std::uint64_t last_serial_ = 0;
  std::uint32_t extents_per_page_ = 8192;
  std::uint64_t clone_bytes_max_ = UINT64_MAX;
  std::size_t commits_ = 0;
  std::size_t files_committed_ = 0;
  std::size_t syncs_ = 0;
  std::size_t allocations_ = 0;
  bool full_ = false;
};

}  // namespace dfs
