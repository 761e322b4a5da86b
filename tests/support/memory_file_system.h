// A file system in memory behind the client engine's interface: names, bytes,
// attributes, extended attributes. Right enough to be mounted and worked on,
// and it misbehaves on request.
//
// Threads: any; one lock for all, which is not held while an obstacle stands.
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "common/client/file_system.h"
#include "server/meta/sessions/lock_table.h"
#include "tests/support/memory_nodes.h"
#include "tests/support/obstacles.h"

namespace dfs {

class MemoryFileSystem final : public FileSystem {
 public:
  // What the test puts in the way of lookups, reads and other calls on contents.
  Obstacles& obstacles() { return obstacles_; }

  // A lock of another mount on the file; `unlocked` removes it. True: it has it.
  bool lock_elsewhere(InodeId inode, const FileLock& lock);
  // Opening keeps the kernel's pages, and is an access because of that.
  void keep_pages() {
    const std::lock_guard lock(mutex_);
    keeps_pages_ = true;
  }
  // The kernel may remember that a name is absent.
  void keep_absences() {
    const std::lock_guard lock(mutex_);
    keeps_absences_ = true;
  }
  // Returns once so many requests wait for a lock.
  void wait_for_lock_waits(std::size_t count);

  // --- what happened ---

  struct Counts {
    std::uint64_t lookups = 0;
    std::uint64_t get_xattrs = 0;
    std::uint64_t get_attributes = 0;
    std::uint64_t put_off = 0;
    std::uint64_t flushes = 0;
    std::uint64_t fsyncs = 0;
    std::uint64_t syncs = 0;
    std::uint64_t interrupted = 0;
    std::uint64_t open_now = 0;
    std::uint64_t largest_write = 0;
    std::uint64_t bytes_written = 0;
    std::uint64_t directory_reads = 0;
    std::uint64_t copies = 0;
    std::uint64_t locks = 0;       // that are held
    std::uint64_t lock_waits = 0;  // that have not ended
  };
  Counts counts() const;

  // Changes a file as if another mount had done it.
  void overwrite_elsewhere(InodeId inode, const std::string& bytes);
  InodeId find(InodeId parent, const std::string& name) const;

  // --- FileSystem ---

  Keep keep_name(InodeId directory, const std::string& name, InodeId inode) const override;
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
  Result<void> unlink(InodeId parent, const std::string& name,
                      const CallContext& context) override;
  Result<void> remove_directory(InodeId parent, const std::string& name,
                                const CallContext& context) override;
  Result<void> rename(const RenameArgs& args, const CallContext& context) override;
  OpenedDirectory open_directory(InodeId, const CallContext&) override { return {}; }
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
  Unsent unsent() const override { return {}; }

 private:
  struct Open {
    InodeId inode;
    std::vector<FileLock> ends = {};  // what removes the locks taken through it
  };

  OpenFilePtr open_locked(MemoryNode& node);
  static Open& open_of(OpenFile& file) { return reinterpret_cast<Open&>(file); }
  class Wait;
  Locked locked_locked(InodeId inode);
  void give_up(std::uint64_t ticket);
  // Tells those whose wait is over, `lock` released.
  void settle(std::unique_lock<std::mutex> lock);

  Obstacles obstacles_;
  mutable std::mutex mutex_;
  std::condition_variable lock_waits_changed_;
  MemoryNodes nodes_;
  bool keeps_pages_ = false;
  bool keeps_absences_ = false;
  LockTable locks_{{}};
  std::map<std::uint64_t, LockDone> lock_waits_;
  std::uint64_t last_ticket_ = 0;
  Counts counts_;
};

}  // namespace dfs
