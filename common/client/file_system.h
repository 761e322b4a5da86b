// The client engine: a file system as calls, for the FUSE mount, the command
// line and gateways.
//
// It keeps what a mount needs between calls: cached attributes and extents,
// bytes written and not yet uploaded, bytes read ahead. What callers may rely
// on:
//   * A read sees every write that returned before it on this FileSystem.
//   * Where leases are in use (ClientConfig::leases) and the inode is strict, what
//     has returned here is seen by every other mount, and what has returned there
//     is seen here: names, attributes, bytes. Elsewhere others see the bytes once
//     flush() has returned and they open the file, the rest within a second.
//   * After fsync() has returned, bytes and size survive the loss of power on
//     every machine, on as many replicas as were alive.
//   * Where ClientConfig::access_times says so, reading moves access times: they
//     show here at once, and elsewhere about a second later unless they are lost.
//   * An error of a background upload is kept and returned by the next
//     flush(), fsync() or close() of the file. Nothing is dropped silently.
//   * What loses its last name here and is used further goes on: an open file as
//     before, of anything else its attributes. What another mount removes is
//     `stale`, unless it is an open file.
//
// Names are raw bytes without '/' and NUL. Offsets and sizes are bytes.
// Threads: any; calls block. `context` carries who asks and how to interrupt
// a wait; a call that was interrupted returns Errc::interrupted.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/client/client_config.h"
#include "common/client/reply_barrier.h"
#include "common/rpc/lock_memo.h"
#include "common/rpc/interrupt.h"
#include "common/rpc/lease_hooks.h"
#include "common/rpc/meta_api.h"

namespace dfs {

class KernelCache;
class MetaClient;
class StoragePool;

struct CallContext {
  Caller caller;
  Interrupt* interrupt = nullptr;
  // If false, lookup(), read_directory(), get_attributes(), get_xattr(), flush() and
  // open() that does not truncate fail with `would_wait` and have done nothing when
  // a server would have to be waited for. Other calls wait.
  bool may_wait = true;
  // What open(), read(), read_directory() and copy_range() do here is no access.
  bool keeps_access_time = false;
  // Taken from the mode of what make_node(), create() and create_unnamed() make,
  // unless the default ACL of the directory decides.
  std::uint32_t umask = 0;
  // write() writes at the end of the file, wherever that is.
  bool append = false;
};

// What holds a file open. Released by FileSystem::close(), once.
class OpenFile;
class WriteJournal;
class WriteLog;
struct UnsentFacts;
using OpenFilePtr = std::shared_ptr<OpenFile>;

struct OpenOptions {
  bool read = true;
  bool write = false;
  bool append = false;
  bool truncate = false;
  bool direct = false;  // no caching of what is read
  // The kernel reads and writes through it past its pages, of which it locks none.
  bool past_pages = false;
};

struct Opened {
  OpenFilePtr file;
  Attributes attributes;
  // The kernel's cached pages of the file (from earlier opens here) are still right.
  bool keep_cache = false;
  // Opening it has moved the access time: those who read pages that the kernel
  // has do not come here.
  bool access_time_moved = false;
  // A program here has asked for a POSIX lock on the file: each close(2) is to
  // be told by release_locks(), though nothing may have been written.
  bool was_locked_here = false;
};
// A lock has been set.
struct Locked {
  // As in Opened. False after others wrote under the lock before: whoever
  // holds it now is to see that.
  bool keep_cache = true;
};
// Somebody waits for a lock.
class LockWait {
 public:
  virtual ~LockWait() = default;
  // Ends the wait as `interrupted`, at once and whatever the server does;
  // nothing happens if it is over.
  virtual void give_up() = 0;
};
// What a kernel may do with the listing of a directory that it opens.
struct OpenedDirectory {
  // Keep what it is told from now on, until it is told to forget the pages of the directory.
  bool may_keep = false;
  // What it has kept is true still.
  bool is_kept = false;
};
struct Created {
  OpenFilePtr file;
  Attributes attributes;
  bool created = false;  // false: it was there and has been opened
};

// A file that a former process of this mount had open, and its programs still have.
struct FormerFile {
  InodeId inode;
  OpenOptions options;
  // Who asked last for a lock through it.
  std::optional<std::uint64_t> posix_owner;
  std::optional<std::uint64_t> flock_owner;
};

struct CopyRange {
  std::uint64_t from = 0;  // where it is in the file it is copied from
  std::uint64_t to = 0;    // where it goes in the other
  std::uint64_t length = 0;
};

class FileSystem {
 public:
  // `meta` and `storage` must outlive the result, and so must `journal`, where bytes
  // that are written and not committed outlive the process, and `log`, where they outlive
  // the machine's power; null: they do not.
  static Result<std::unique_ptr<FileSystem>> create(const ClientConfig& config, MetaClient& meta,
                                                    StoragePool& storage, Clock& clock,
                                                    WriteJournal* journal = nullptr,
                                                    WriteLog* log = nullptr);
  virtual ~FileSystem() = default;

  // --- names ---
  virtual Result<Attributes> lookup(InodeId parent, const std::string& name,
                                    const CallContext& context) = 0;
  virtual Result<Attributes> make_node(InodeId parent, const std::string& name, FileType type,
                                       std::uint32_t mode, std::uint64_t rdev,
                                       const CallContext& context) = 0;
  virtual Result<Attributes> make_symlink(InodeId parent, const std::string& name,
                                          const std::string& target,
                                          const CallContext& context) = 0;
  virtual Result<std::string> read_symlink(InodeId inode, const CallContext& context) = 0;
  virtual Result<Attributes> link(InodeId inode, InodeId new_parent, const std::string& new_name,
                                  const CallContext& context) = 0;
  virtual Result<void> unlink(InodeId parent, const std::string& name,
                              const CallContext& context) = 0;
  virtual Result<void> remove_directory(InodeId parent, const std::string& name,
                                        const CallContext& context) = 0;
  virtual Result<void> rename(const RenameArgs& args, const CallContext& context) = 0;
  // Before a kernel lists a directory. Asks nobody.
  virtual OpenedDirectory open_directory(InodeId inode, const CallContext& context) = 0;
  // Entries after `cookie` (0: the start), without "." and "..".
  virtual Result<ReadDirResult> read_directory(InodeId inode, std::uint64_t cookie,
                                               std::uint32_t entries_max,
                                               const CallContext& context) = 0;

  // --- attributes ---
  // Sizes and times include what was written here and is not committed yet.
  virtual Result<Attributes> get_attributes(InodeId inode, const CallContext& context) = 0;
  virtual Result<Attributes> set_attributes(const SetAttrArgs& args,
                                            const CallContext& context) = 0;
  virtual Result<void> set_xattr(const SetXattrArgs& args, const CallContext& context) = 0;
  virtual Result<std::string> get_xattr(InodeId inode, const std::string& name,
                                        const CallContext& context) = 0;
  virtual Result<std::vector<std::string>> list_xattr(InodeId inode,
                                                      const CallContext& context) = 0;
  virtual Result<void> remove_xattr(InodeId inode, const std::string& name,
                                    const CallContext& context) = 0;
  virtual Result<StatFsResult> stat_fs(const CallContext& context) = 0;

  // --- contents ---
  //   stale  the inode has no name, and nobody here has it open
  virtual Result<Opened> open(InodeId inode, const OpenOptions& options,
                              const CallContext& context) = 0;
  virtual Result<Created> create(InodeId parent, const std::string& name, std::uint32_t mode,
                                 bool exclusive, const OpenOptions& options,
                                 const CallContext& context) = 0;
  // A regular file in no directory, kept as `directory` keeps its files. It is
  // gone when it is closed everywhere, unless link() has given it a name by then;
  // what was written before is on the servers when the name is there.
  virtual Result<Created> create_unnamed(InodeId directory, std::uint32_t mode,
                                         const OpenOptions& options,
                                         const CallContext& context) = 0;
  // Bytes read; fewer than asked only at the end of the file.
  virtual Result<std::size_t> read(OpenFile& file, std::uint64_t offset, MutableBuffer into,
                                   const CallContext& context) = 0;
  // All of `data`, or an error and nothing of it.
  virtual Result<void> write(OpenFile& file, std::uint64_t offset, BufferView data,
                             const CallContext& context) = 0;
  // Uploads and commits what was written; returns the first error since the last
  // one reported. Where nobody can miss the bytes, it only starts that
  // (ClientConfig::close_waits).
  virtual Result<void> flush(OpenFile& file, const CallContext& context) = 0;
  virtual Result<void> fsync(OpenFile& file, const CallContext& context) = 0;
  // Names made so far in this directory survive power loss when it returns.
  virtual Result<void> fsync_directory(InodeId inode, const CallContext& context) = 0;
  // Ends the use of `file`; never waits for a server. flush() comes before it.
  virtual void close(OpenFilePtr file) = 0;
  // fallocate(2): mode bits as in linux/falloc.h. Plain allocation, hole
  // punching and zeroing; other modes are `unsupported`. Zeroed ranges are
  // holes. Space is not set aside: `no_space` when the range's holes would not
  // fit now, but a later write may find the servers full all the same.
  virtual Result<void> allocate(OpenFile& file, int mode, std::uint64_t offset,
                                std::uint64_t length, const CallContext& context) = 0;
  // lseek(2) SEEK_DATA / SEEK_HOLE over what is committed and what is buffered;
  // empty where lseek says ENXIO: nothing of the kind before the end.
  virtual Result<std::optional<std::uint64_t>> seek(OpenFile& file, std::uint64_t offset, bool data,
                                                    const CallContext& context) = 0;
  // copy_file_range(2) that moves no bytes: afterwards both files refer to the
  // same chunks, and a change of either leaves the other alone. How many bytes
  // have been copied: fewer than asked at the end of `from` or when the range
  // has very many extents.
  //   invalid      ranges of one file that overlap
  //   unsupported  the files are not kept in the same way: copy the bytes
  virtual Result<std::uint64_t> copy_range(OpenFile& from, OpenFile& to, const CopyRange& range,
                                           const CallContext& context) = 0;
  // The committed extents, for `dfs locate`.
  virtual Result<std::vector<Extent>> extents(InodeId inode, const CallContext& context) = 0;

  // --- locks ---
  // They hold across mounts, and keep bytes in order: what was written here is
  // on the servers before a lock is given up, and what others had written by
  // then is seen by whoever gets it. close() ends those that were taken through
  // the file; the session's end ends all.

  // Sets or removes a lock at once.
  //   again     somebody is in the way
  //   no_locks  too many
  virtual Result<Locked> set_lock(OpenFile& file, const FileLock& lock,
                                  const CallContext& context) = 0;
  // Waits for a lock that set_lock() did not get, and takes no thread for it.
  // `done` hears the end, once: from any thread, within this call or within
  // give_up(). Errors besides those of set_lock(): deadlock, interrupted.
  using LockDone = std::function<void(Result<Locked>)>;
  virtual std::shared_ptr<LockWait> wait_for_lock(const OpenFilePtr& file, const FileLock& lock,
                                                  const Caller& caller, LockDone done) = 0;
  // A lock in the way of this one. Its `process` is 0 if it is not one of this mount.
  virtual Result<std::optional<FileLock>> get_lock(OpenFile& file, const FileLock& lock,
                                                   const CallContext& context) = 0;
  // Removes the POSIX locks that `owner` has on the file, as closing a
  // descriptor does. Asks nobody if there are none.
  virtual Result<void> release_locks(OpenFile& file, std::uint64_t owner,
                                     const CallContext& context) = 0;

  // --- the whole ---
  // Uploads and commits everything written, everywhere; waits. Then the
  // servers have it, and it survives the death of any one of their processes.
  virtual Result<void> write_back(const CallContext& context) = 0;
  // The same; then asks the metadata server to make it safe from power loss.
  virtual Result<void> sync(const CallContext& context) = 0;
  // What would be lost if this process died now.
  struct Unsent {
    std::uint64_t bytes = 0;
    std::vector<InodeId> files;
  };
  virtual Unsent unsent() const = 0;
  // How much of it, and how old. Does not wait.
  virtual UnsentBytes at_risk() const { return {}; }

  // The locks that programs here hold are recorded in `memo` too, which outlives the
  // process. Before any is taken.
  virtual void remember_locks(LockMemo& memo) { static_cast<void>(memo); }

  // --- for whoever answers a kernel ---
  // What it may keep of an answer. The question is asked, and the answer given,
  // within one ReplyBarrier::Reply of replies().
  enum class Keep { no, for_a_while, until_told };
  virtual Keep keep(const Attributes& attributes) const {
    static_cast<void>(attributes);
    return Keep::for_a_while;
  }
  // That the name leads there; inode 0: that it leads nowhere.
  virtual Keep keep_name(InodeId directory, const std::string& name, InodeId inode) const {
    static_cast<void>(directory);
    static_cast<void>(name);
    return inode == InodeId{} ? Keep::no : Keep::for_a_while;
  }
  ReplyBarrier& replies() { return replies_; }
  // Who is told what is not true any more; null: nobody (any more).
  virtual void set_kernel(std::shared_ptr<KernelCache> kernel) { static_cast<void>(kernel); }

  // --- for the session (MetaSession's hooks; they do not wait) ---
  // The inodes open here, each as often as it is open.
  virtual std::vector<InodeId> held_inodes() const { return {}; }
  // Every lock held here. What the server had granted beyond is void.
  virtual std::vector<HeldLock> held_locks() { return {}; }
  // The session was lost and a new one stands: what is cached is doubted.
  virtual void session_replaced() {}
  virtual LeaseHooks lease_hooks() { return {}; }

  // --- for a mount that sends what a former one could not (write_log_recovery.h) ---
  // What is written through the file, until it is closed, is committed with these facts, and
  // only as long as nobody else has changed the contents since: else writing, or fsync(), fails
  // with `io`. Nothing of it may be buffered yet.
  virtual void rewrite(OpenFile& file, const UnsentFacts& facts) {
    static_cast<void>(file);
    static_cast<void>(facts);
  }

  // --- for a mount that goes on in place of a process that was killed ---
  // In this order, before any other call: the kernel is set, files are opened again,
  // the hooks are given to the session (LeaseHooks::adopted), catch_up().

  // Asks nobody: the session said that it is open.
  virtual OpenFilePtr reopen(const FormerFile& file) {
    static_cast<void>(file);
    return nullptr;
  }
  // Learns what has to be known of what was opened so. Waits for the server.
  //   interrupted
  virtual Result<void> catch_up(const CallContext& context) {
    static_cast<void>(context);
    return {};
  }
  // What the former process was about to change is not waited for any more, unless
  // `comes_again(operation)`: whoever asked for it would have asked again by now.
  virtual void repeats_are_over(const std::function<bool(std::uint64_t)>& comes_again) {
    static_cast<void>(comes_again);
  }

 private:
  ReplyBarrier replies_;
};

}  // namespace dfs
