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
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/rpc/consistency.h"
#include "common/rpc/meta_api.h"
#include "tests/support/fake_contents.h"
#include "tests/support/fake_groups.h"
#include "tests/support/fake_inodes.h"
#include "tests/support/fake_lease_rules.h"
#include "tests/support/fake_leases.h"
#include "tests/support/fake_locks.h"
#include "tests/support/fake_storage_pool.h"

namespace dfs {

class FakeMetaServer {
 public:
  // Groups are numbered from 1 in the order of `groups`.
  FakeMetaServer(FakeStoragePool& storage, const std::vector<std::vector<std::uint32_t>>& groups,
                 const Clock& clock, EventLog* log = nullptr, std::uint32_t chunk_size = 256 * KiB)
      : clock_(clock),
        log_(log),
        chunk_size_(chunk_size),
        inodes_(storage, clock, chunk_size),
        table_(fake_group_table(groups)),
        contents_(storage, inodes_, log) {}

  using Done = FakeLocks::Done;

  SessionId begin_session() {
    const std::lock_guard lock(mutex_);
    return SessionId{++last_session_};
  }
  // `later` takes the answer to a request that has to wait for a lock: in that
  // case, and only then, the result is empty. For leases of others it waits here.
  std::optional<Result<MetaResult>> run(SessionId session, const MetaArgs& args, Done later) {
    std::unique_lock lock(mutex_);
    const FakeLeases::Turn turn = await_leases(lock, session, args);
    session_ = session;
    Result<MetaResult> result =
        std::visit([this](const auto& typed) -> Result<MetaResult> { return act(typed); }, args);
    inodes_.collect_garbage();
    if (result) grant_leases(leases_, inodes_, {session, args, turn}, *result);
    const auto* set = std::get_if<SetLockArgs>(&args);
    const bool waits = set != nullptr && set->wait && !result && result.error().code == Errc::busy;
    if (waits) locks_.wait(session, set->ticket, std::move(later));
    answer_waits(std::move(lock));
    if (waits) return std::nullopt;
    return result;
  }
  Result<MetaResult> run(const MetaArgs& args) { return *run(SessionId{1}, args, nullptr); }
  // As when a process with locks and leases goes with its whole machine.
  void end_session(SessionId session) {
    std::unique_lock lock(mutex_);
    locks_.release(session);
    leases_.leave(session);
    tell_returned();
    answer_waits(std::move(lock));
  }

  // --- leases ---
  // The session wants leases, and is told from now on what others need of them.
  LeaseTerms welcome(SessionId session, FakeLeases::Recalled recalled) {
    const std::lock_guard lock(mutex_);
    leases_.join(session, std::move(recalled));
    return {leases_.order(), {}, kLeaseTime};
  }
  // As if it were started anew, with everything that it knows.
  void restart() {
    const std::lock_guard lock(mutex_);
    leases_.begin_life();
  }
  void end_leases(SessionId session) {
    const std::lock_guard lock(mutex_);
    leases_.leave(session);
    tell_returned();
  }
  // Its connection had broken.
  LeaseTerms welcome_back(SessionId session, const LeaseClaims& claims) {
    const std::lock_guard lock(mutex_);
    std::vector<InodeId> lost = leases_.came(session, claims);
    tell_returned();
    return {leases_.order(), std::move(lost), kLeaseTime};
  }
  static constexpr std::chrono::milliseconds kLeaseTime{20'000};

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
    return contents_.violations;
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
    return contents_.placements;
  }
  std::vector<ReportArgs> reports() const {
    const std::lock_guard lock(mutex_);
    return reports_;
  }
  std::size_t commits() const { return counted(contents_.commits); }
  std::size_t files_committed() const { return counted(contents_.files_committed); }
  std::size_t syncs() const { return counted(syncs_); }
  std::size_t allocations() const { return counted(contents_.allocations); }
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
    contents_.extents_per_page = count;
  }
  // A clone takes no more at once.
  void set_clone_bytes_max(std::uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    contents_.clone_bytes_max = bytes;
  }
  void set_full(bool full) {
    const std::lock_guard lock(mutex_);
    contents_.full = full;
  }
  LeaseKind lease(SessionId session, InodeId inode) const {
    const std::lock_guard lock(mutex_);
    return leases_.kind(session, inode);
  }
  std::size_t recalls() const { return counted(leases_.recalls_sent); }
  // Leases to write the file are for one write only.
  void set_contended(InodeId inode) {
    const std::lock_guard lock(mutex_);
    leases_.contended.insert(inode);
  }
  void set_consistency(InodeId inode, Consistency consistency) {
    const std::lock_guard lock(mutex_);
    FakeInode& changed = inodes_.at(inode);
    changed.attributes.consistency = consistency;
    inodes_.touch(changed);
  }
  void set_bytes_available(std::uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    bytes_available_ = bytes;
  }
  // As when an administrator removes a file that is open.
  void destroy(InodeId inode) {
    const std::lock_guard lock(mutex_);
    inodes_.forget(inode);
    inodes_.collect_garbage();
  }

 private:
  // Clients answer within milliseconds; one that does not is reported, and not waited for.
  static constexpr std::chrono::seconds kPatience{5};

  template <typename T>
  T counted(const T& counter) const {
    const std::lock_guard lock(mutex_);
    return counter;
  }

  // --- names ---
  Result<MetaResult> act(const LookupArgs& args) {
    const Result<FakeInode*> inode = inodes_.find_named(args.parent, args.name);
    EntryResult result;
    if (inode) {
      result.attributes = (*inode)->attributes;
      return result;
    }
    if (!args.may_be_absent || inode.error().code != Errc::not_found) return fail(inode.error());
    result.absent = true;
    return result;
  }
  Result<MetaResult> act(const CreateArgs& args) {
    FakeInode* parent = TRY(inodes_.find(args.parent));
    if (args.unnamed) {
      FakeInode& inode = inodes_.add(args.parent, args.type, args.mode & ~args.umask, 0);
      inode.attributes.nlink = 0;
      OpenResult result = contents_.open(inode, false);
      result.created = true;
      return result;
    }
    const auto there = parent->names.find(args.name);
    if (there != parent->names.end()) {
      if (args.exclusive) return fail(Errc::exists, args.name);
      return contents_.open(inodes_.at(there->second), args.truncate);
    }
    FakeInode& inode = inodes_.add(args.parent, args.type, args.mode & ~args.umask, args.rdev);
    parent->names[args.name] = inode.attributes.inode;
    inodes_.touch(*parent);
    if (!args.open) return EntryResult{inode.attributes, parent->attributes};
    OpenResult result = contents_.open(inode, false);
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
    result.removed = inodes_.unlinked(*inode, args.keep);
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
        result.removed = inodes_.unlinked(inodes_.at(there->second), args.keep);
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
  Result<MetaResult> act(const StatFsArgs&) { return StatFsResult{1 * TiB, bytes_available_, inodes_.size()}; }

  // --- locks ---
  Result<MetaResult> act(const SetLockArgs& args) {
    TRY(locks_.set(session_, args));
    if (log_ != nullptr) log_->add(args.lock.kind == LockKind::unlocked ? "unlock" : "lock");
    if (args.lock.kind == LockKind::unlocked) return EmptyResult{};
    return act(GetAttrArgs{args.inode});
  }
  Result<MetaResult> act(const GetLockArgs& args) { return locks_.in_the_way(session_, args); }
  Result<MetaResult> act(const CancelLockArgs& args) {
    locks_.cancel(session_, args.ticket);
    return EmptyResult{};
  }
  void answer_waits(std::unique_lock<std::mutex> lock) {
    std::vector<std::pair<Done, Result<MetaResult>>> over;
    for (FakeLocks::Over& wait : locks_.take_over()) {
      over.emplace_back(std::move(wait.done), wait.set ? act(GetAttrArgs{*wait.set})
                                                       : Result<MetaResult>(fail(wait.set.error())));
    }
    lock.unlock();
    for (const auto& [done, result] : over) done(result);
  }

  // --- contents ---
  Result<MetaResult> act(const OpenArgs& args) {
    FakeInode* inode = TRY(inodes_.find(args.inode));
    return contents_.open(*inode, args.truncate);
  }
  Result<MetaResult> act(const ReleaseArgs& args) {
    FakeInode* inode = TRY(inodes_.find(args.inode));
    inode->opens -= std::min<std::size_t>(inode->opens, args.count);
    inodes_.forget_if_unused(args.inode);
    return EmptyResult{};
  }
  Result<MetaResult> act(const GetExtentsArgs& args) { return contents_.list(args); }
  Result<MetaResult> act(const CommitArgs& args) { return contents_.commit(args, *table_); }
  Result<MetaResult> act(const CloneArgs& args) { return contents_.clone(args); }
  Result<MetaResult> act(const AllocateArgs& args) { return contents_.allocate(args, *table_); }
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

  // --- leases ---
  Result<MetaResult> act(const AcquireLeaseArgs& args) { return act(GetAttrArgs{args.inode}); }
  Result<MetaResult> act(const ReturnLeasesArgs& args) {
    for (const ReturnedLease& lease : args.leases) {
      if (lease.holds > 0 && inodes_.contains(lease.inode)) inodes_.at(lease.inode).opens += lease.holds;
      leases_.give_back(session_, lease);
    }
    tell_returned();
    return EmptyResult{};
  }
  Result<MetaResult> act(const HoldArgs& args) {
    FakeInode* inode = TRY(inodes_.find(args.inode));
    inode->opens += args.count;
    inode->may_be_open = false;
    return EmptyResult{};
  }
  Result<MetaResult> act(const DrainServerArgs&) { return EmptyResult{}; }
  void tell_returned() {
    ++returns_;
    returned_.notify_all();
  }
  FakeLeases::Turn await_leases(std::unique_lock<std::mutex>& lock, SessionId session,
                                const MetaArgs& args) {
    FakeLeases::Turn turn = FakeLeases::Turn::first;
    const auto until = std::chrono::steady_clock::now() + kPatience;
    for (;;) {
      const FakeLeases::Needs needs = lease_needs(inodes_, args);
      if (leases_.is_clear(session, needs)) return turn;
      if (std::holds_alternative<AcquireLeaseArgs>(args)) turn = FakeLeases::Turn::own;
      const FakeLeases::ToSend to_send = leases_.ask_back(session, needs);
      leases_.begin_wait(session, needs);
      const std::uint64_t seen = returns_;
      lock.unlock();
      for (const auto& [recalled, recall] : to_send) recalled(recall);
      lock.lock();
      // Somebody else's turn may come first: then it is asked for again.
      const bool in_time = returned_.wait_until(lock, until, [&] { return returns_ != seen; });
      leases_.end_wait(session, needs);
      if (in_time) continue;
      contents_.violations.push_back("a lease was not given back");
      return turn;
    }
  }
  Result<MetaResult> act(const SetPolicyArgs&) { return EmptyResult{}; }
  Result<MetaResult> act(const GetPolicyArgs&) { return PolicyResult{}; }
  Result<MetaResult> act(const ClusterStatusArgs&) { return ClusterStatusResult{}; }

  const Clock& clock_;
  EventLog* const log_;
  const std::uint32_t chunk_size_;
  mutable std::mutex mutex_;
  FakeInodes inodes_;
  GroupTablePtr table_;
  FakeContents contents_;
  FakeLocks locks_;
  FakeLeases leases_;
  std::condition_variable returned_;
  std::uint64_t returns_ = 0;  // of leases, counted
  std::vector<ReportArgs> reports_;
  SessionId session_;  // whose request is run
  std::uint64_t last_session_ = 0;
  std::size_t syncs_ = 0;
  std::uint64_t bytes_available_ = 512 * GiB;
};

}  // namespace dfs
