// The client engine behind FileSystem: what each call does, on top of the
// parts that read, write and remember.
//
//   name_operations.cc       what goes by parent and name
//   attribute_operations.cc  attributes, extended attributes, statfs
//   open_operations.cc       open, create, close
//   content_operations.cc    read, write, flush, fsync
//   range_operations.cc      allocate, seek, extents
//   copy_operations.cc       copy_range
//   lock_operations.cc       locks
//   lease_operations.cc      leases, and what a kernel may keep
//   access_time_operations.cc  access times
//   adoption.cc              going on where another process was killed
//
// Threads: any.
#pragma once

#include <optional>
#include <unordered_set>

#include "common/base/guarded.h"
#include "common/client/access_time_sender.h"
#include "common/client/access_times.h"
#include "common/client/block_cache.h"
#include "common/client/chunk_reader.h"
#include "common/client/file_reader.h"
#include "common/client/file_system.h"
#include "common/client/held_locks.h"
#include "common/client/inode_table.h"
#include "common/client/late_calls.h"
#include "common/client/lease_gate.h"
#include "common/client/lease_keeper.h"
#include "common/client/listing_cache.h"
#include "common/client/lock_releases.h"
#include "common/client/meta_cache.h"
#include "common/client/meta_sync.h"
#include "common/client/name_cache.h"
#include "common/client/open_file.h"
#include "common/client/removed_inodes.h"
#include "common/client/shown_listings.h"
#include "common/client/write_back.h"
#include "common/client/write_buffer.h"

namespace dfs {

class Engine final : public FileSystem {
 public:
  Engine(const ClientConfig& config, MetaClient& meta, StoragePool& storage, Clock& clock,
         WriteJournal* journal, WriteLog* log);
  // What a former process had written; before any other call.
  void restore(std::vector<WriteJournal::Former> former);

  Result<Attributes> lookup(InodeId parent, const std::string& name,
                            const CallContext& context) override;
  Result<Attributes> make_node(InodeId parent, const std::string& name, FileType type,
                               std::uint32_t mode, std::uint64_t rdev,
                               const CallContext& context) override;
  Result<Attributes> make_symlink(InodeId parent, const std::string& name,
                                  const std::string& target, const CallContext& context) override;
  Result<std::string> read_symlink(InodeId inode, const CallContext& context) override;
  Result<Attributes> link(InodeId inode, InodeId new_parent, const std::string& new_name,
                          const CallContext& context) override;
  Result<void> unlink(InodeId parent, const std::string& name, const CallContext& context) override;
  Result<void> remove_directory(InodeId parent, const std::string& name,
                                const CallContext& context) override;
  Result<void> rename(const RenameArgs& args, const CallContext& context) override;
  OpenedDirectory open_directory(InodeId inode, const CallContext& context) override;
  Result<ReadDirResult> read_directory(InodeId inode, std::uint64_t cookie,
                                       std::uint32_t entries_max,
                                       const CallContext& context) override;

  Result<Attributes> get_attributes(InodeId inode, const CallContext& context) override;
  Result<Attributes> set_attributes(const SetAttrArgs& args, const CallContext& context) override;
  Result<void> set_xattr(const SetXattrArgs& args, const CallContext& context) override;
  Result<std::string> get_xattr(InodeId inode, const std::string& name,
                                const CallContext& context) override;
  Result<std::vector<std::string>> list_xattr(InodeId inode, const CallContext& context) override;
  Result<void> remove_xattr(InodeId inode, const std::string& name,
                            const CallContext& context) override;
  Result<StatFsResult> stat_fs(const CallContext& context) override;

  Result<Opened> open(InodeId inode, const OpenOptions& options,
                      const CallContext& context) override;
  Result<Created> create(InodeId parent, const std::string& name, std::uint32_t mode,
                         bool exclusive, const OpenOptions& options,
                         const CallContext& context) override;
  Result<Created> create_unnamed(InodeId directory, std::uint32_t mode, const OpenOptions& options,
                                 const CallContext& context) override;
  Result<std::size_t> read(OpenFile& file, std::uint64_t offset, MutableBuffer into,
                           const CallContext& context) override;
  Result<void> write(OpenFile& file, std::uint64_t offset, BufferView data,
                     const CallContext& context) override;
  Result<void> flush(OpenFile& file, const CallContext& context) override;
  Result<void> fsync(OpenFile& file, const CallContext& context) override;
  Result<void> fsync_directory(InodeId inode, const CallContext& context) override;
  void close(OpenFilePtr file) override;
  Result<void> allocate(OpenFile& file, int mode, std::uint64_t offset, std::uint64_t length,
                        const CallContext& context) override;
  Result<std::optional<std::uint64_t>> seek(OpenFile& file, std::uint64_t offset, bool data,
                                            const CallContext& context) override;
  Result<std::uint64_t> copy_range(OpenFile& from, OpenFile& to, const CopyRange& range,
                                   const CallContext& context) override;
  Result<std::vector<Extent>> extents(InodeId inode, const CallContext& context) override;
  Result<void> write_back(const CallContext& context) override;
  Result<Locked> set_lock(OpenFile& file, const FileLock& lock,
                          const CallContext& context) override;
  std::shared_ptr<LockWait> wait_for_lock(const OpenFilePtr& file, const FileLock& lock,
                                          const Caller& caller, LockDone done) override;
  Result<std::optional<FileLock>> get_lock(OpenFile& file, const FileLock& lock,
                                           const CallContext& context) override;
  Result<void> release_locks(OpenFile& file, std::uint64_t owner,
                             const CallContext& context) override;
  Result<void> sync(const CallContext& context) override;
  Unsent unsent() const override { return write_back_.unsent(); }
  void remember_locks(LockMemo& memo) override { held_.remember_in(memo); }
  UnsentBytes at_risk() const override { return write_back_.at_risk(); }

  std::vector<InodeId> held_inodes() const override;
  std::vector<HeldLock> held_locks() override;
  void session_replaced() override;
  LeaseHooks lease_hooks() override;
  Keep keep(const Attributes& attributes) const override;
  Keep keep_name(InodeId directory, const std::string& name, InodeId inode) const override;
  void set_kernel(std::shared_ptr<KernelCache> kernel) override {
    keeper_.set_kernel(std::move(kernel));
  }
  void rewrite(OpenFile& file, const UnsentFacts& facts) override;
  OpenFilePtr reopen(const FormerFile& file) override;
  Result<void> catch_up(const CallContext& context) override;
  void repeats_are_over(const std::function<bool(std::uint64_t)>& comes_again) override;

 private:
  class LockInWait;

  // Remembers what the server told; returns it with what is dirty here.
  Attributes learn(const Attributes& fresh);
  void learn(const std::optional<Attributes>& fresh);
  void learn_removed(const Attributes& removed);
  // It is not in use any more.
  void go_on_knowing_locked(const InodeState& state);
  // What is known and may still be used, with what is dirty here.
  std::optional<Attributes> known_attributes(InodeId inode) const;
  // lease_operations.cc
  // Attributes that were told last, however long ago.
  std::optional<Attributes> last_told(InodeId inode) const;
  // Returns once the inode may be read or written as its consistency says, and what
  // is known of it is as it was after that began. `range` is what the kernel has
  // locked pages of. True: the lease was lost meanwhile, and what the kernel
  // had in its pages before is of no use. The lease that was asked for, if one was,
  // stays as long as `asking`, or not much shorter.
  using Asking = std::optional<LeaseGate::Asking>;
  Result<bool> await_lease(const InodeStatePtr& state, LeaseKind kind, const FileRange& range,
                           const CallContext& context, Asking& asking);
  bool has_lease(InodeState& state, LeaseKind kind);
  bool has_lease_locked(const InodeState& state, LeaseKind kind) const;
  // The lease is there, and with that the wait over.
  bool may_go_on(InodeState& state, LeaseKind kind, LeaseGate::Waiting& waiting);
  // A lease that was given for one operation goes back when that is on the servers.
  Result<void> finish_write_through(const InodeStatePtr& state, const CallContext& context);
  bool may_leave_unsent(InodeState& state, const CallContext& context);
  std::optional<Opened> open_known(InodeId inode, const OpenOptions& options);
  // What a name leads to is about to lose it: while this lives it is not opened
  // without a word.
  class Removal {
   public:
    Removal(Engine& engine, InodeId directory, const std::string& name);
    ~Removal();
    Removal(const Removal&) = delete;
    Removal& operator=(const Removal&) = delete;
    // It may be open here although the server was not told.
    bool keep() const { return keep_; }

   private:
    Engine& engine_;
    std::optional<InodeId> inode_;
    bool keep_ = false;
  };
  void tell_opens(InodeId inode);
  // A name was changed here and leads there now, if that is known; `after` is the
  // directory then.
  void learn_name(InodeId directory, const std::string& name, std::optional<InodeId> inode,
                  const std::optional<Attributes>& after);
  void learn_renamed(const RenameArgs& args, const RemovedResult& result);
  std::optional<ReadDirResult> listed_before(InodeId inode, std::uint64_t cookie);
  bool knows_most_of(InodeId directory);
  void learn_listing(InodeId inode, std::uint64_t cookie, const ReadDirResult& listing);
  // access_time_operations.cc
  // It was read by somebody who saw these attributes. True if that moved the
  // access time, in `attributes` too.
  bool accessed(Attributes& attributes, const CallContext& context);
  void accessed(InodeState& state, const CallContext& context);
  // The same where the attributes are in no answer: if any are known, however old.
  void accessed(InodeId inode, const CallContext& context);
  void move_access_times(const std::vector<AccessTime>& times);
  // It was removed here, and that is why the server answered with `problem`.
  bool was_removed_here(InodeId inode, const Error& problem) {
    return problem.code == Errc::stale && removed_.find(inode).has_value();
  }
  // A call whose result type is known; a change counts for fsync.
  template <typename R, typename Args>
  Result<R> ask(Args args, const CallContext& context);
  template <typename R, typename Args>
  Result<R> change(Args args, const CallContext& context);

  // Before an inode without a name gets one, for whoever will open it by that.
  Result<void> send_unnamed(InodeId inode, const CallContext& context);
  // From the server, or what it said last when it is silent.
  Result<StatFsResult> ask_space(const CallContext& context);

  // Sends a change of one inode's contents or times while no commit of it is
  // on its way; `apply(state, answer)` follows it under the lock.
  using Apply = std::function<void(InodeState&, const MetaResult&)>;
  Result<void> change_exclusively(const InodeStatePtr& state, MetaArgs args,
                                  const CallContext& context, Apply apply);
  Result<Attributes> set_unbuffered(const SetAttrArgs& args, const CallContext& context);
  static void apply_size_locked(InodeState& state, std::uint64_t size, const Attributes& after,
                                SteadyTime now);
  Result<void> truncate_opened(const OpenFilePtr& file, Attributes& attributes,
                               const CallContext& context);
  Opened opened_locked(const InodeStatePtr& state, const OpenOptions& options);
  Result<Opened> open_asking(InodeId inode, const OpenOptions& options, const CallContext& context);
  // content_operations.cc
  struct Write;
  enum class Attempt { written, needs_lease, needs_room };
  Result<Attempt> try_write(InodeState& state, Write& write, const WaitLimits& until,
                            const CallContext& context);
  Result<void> await_room(std::size_t blocks, const WaitLimits& until);
  Result<void> await_log_room(const WaitLimits& until);
  Result<void> make_lasting(const InodeStatePtr& state, const CallContext& context);
  Result<Created> create_opened(CreateArgs args, const OpenOptions& options,
                                const CallContext& context);
  Result<void> check_room(InodeState& state, const FileRange& range, const CallContext& context);
  Result<void> commit_source(const InodeStatePtr& state, const CallContext& context);
  // lock_operations.cc
  std::uint64_t next_ticket() { return last_ticket_.fetch_add(1) + 1; }
  Result<void> send_written(const InodeStatePtr& state, Interrupt* interrupt);
  Result<void> weaken_lock(InodeId inode, const FileLock& lock, const CallContext& context);
  Result<Locked> locked(InodeState& state, const MetaResult& answer);
  // Without a wait: `lock` removes, once what was written is on the servers.
  void release_later(const InodeStatePtr& state, const FileLock& lock);
  void release_locks_of(const OpenFile& file, const InodeStatePtr& state, bool dirty);
  // Without a wait: the server holds in the range of `lock` what is held here.
  void set_lock_right(InodeId inode, const FileLock& lock);
  void cancel_lock(InodeId inode, const FileLock& lock, std::uint64_t ticket);

  // adoption.cc
  void welcomed(const LeaseTerms& terms);
  void adopt(const SessionEstate& estate);
  Result<void> ask_again(InodeState& state, const CallContext& context);

  std::uint32_t chunk_size_locked(const InodeState& state) const;
  WaitLimits limits(const CallContext& context) const;

  const ClientConfig config_;
  MetaClient& meta_;
  Clock& clock_;
  WriteLog* const log_;
  WriteBuffer buffer_;
  InodeTable inodes_;
  LeaseGate gate_;
  const Freshness freshness_;
  MetaCache meta_cache_;
  NameCache names_;
  ListingCache listings_;
  ShownListings shown_listings_;
  Guarded<std::unordered_multiset<InodeId>> in_removal_;
  RemovedInodes removed_;
  ServerHealth health_;
  MetaSync meta_sync_;
  BlockCache cache_;
  ChunkReader chunks_;
  FileReader files_;
  WriteBack write_back_;
  HeldLocks held_;
  std::atomic<std::uint64_t> last_ticket_{0};
  // What locks were asked for through in the former process; until they are adopted.
  struct LockedThrough {
    InodeId inode;
    LockFamily family;
    std::uint64_t owner;
    const void* file;
  };
  Guarded<std::vector<LockedThrough>> locked_through_;
  // What the kernel has in its pages may be older than the leases that are here.
  std::atomic<bool> pages_are_doubtful_{false};
  static constexpr std::uint64_t kNoLife = UINT64_MAX;
  std::atomic<std::uint64_t> life_of_server_{kNoLife};  // when it welcomed us last
  LateCalls late_;
  struct Space {
    StatFsResult told;
    SteadyTime at;
  };
  Guarded<std::optional<Space>> space_;  // as told last
  LockReleases releases_;
  const std::shared_ptr<AccessTimes> access_times_;
  AccessTimeSender access_time_sender_;
  LeaseKeeper keeper_;  // last: it uses the rest
};

template <typename R, typename Args>
Result<R> Engine::ask(Args args, const CallContext& context) {
  return call_for<R>(meta_, std::move(args), context.caller, context.interrupt);
}

template <typename R, typename Args>
Result<R> Engine::change(Args args, const CallContext& context) {
  Result<R> result = call_for<R>(meta_, std::move(args), context.caller, context.interrupt);
  // Interrupted or not, it may have happened.
  meta_sync_.changed();
  return result;
}

}  // namespace dfs
