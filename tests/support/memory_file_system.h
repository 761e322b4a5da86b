// A file system in memory behind the client engine's interface: names, bytes,
// attributes, extended attributes. Right enough to be mounted and worked on,
// and it misbehaves on request.
//
// Threads: any; one lock for all.
#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/client/file_system.h"

namespace dfs {

class MemoryFileSystem final : public FileSystem {
 public:
  MemoryFileSystem();

  // --- misbehaviour ---

  // Lookups of names that start with `prefix` take this long, or until
  // `together` of them are under way.
  void slow_lookups(std::string prefix, std::chrono::milliseconds delay, unsigned together);
  // The most lookups that were being slow at the same time.
  unsigned slow_lookups_at_once_max() const;
  // Reads of every file wait until this is called with false, or for ever; an
  // interrupt ends them.
  void block_reads(bool blocked);
  // How many reads wait right now; returns once there are `count`.
  void wait_for_blocked_reads(unsigned count);
  // Attributes are not to be had without a wait.
  void keep_attributes_away();
  // Every call on contents fails like this until it is ok again.
  void fail_contents(Errc code);

  // --- what happened ---

  struct Counts {
    std::uint64_t lookups = 0;
    std::uint64_t get_xattrs = 0;
    std::uint64_t get_attributes = 0;
    std::uint64_t put_off = 0;
    std::uint64_t flushes = 0;
    std::uint64_t syncs = 0;
    std::uint64_t interrupted = 0;
    std::uint64_t open_now = 0;
    std::uint64_t largest_write = 0;
    std::uint64_t directory_reads = 0;
  };
  Counts counts() const;

  // Changes a file as if another mount had done it.
  void overwrite_elsewhere(InodeId inode, const std::string& bytes);
  InodeId find(InodeId parent, const std::string& name) const;

  // --- FileSystem ---

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
  Result<std::vector<Extent>> extents(InodeId inode, const CallContext& context) override;
  Result<void> write_back(const CallContext& context) override;
  Result<void> sync(const CallContext& context) override;
  Unsent unsent() const override { return {}; }

 private:
  struct Name {
    InodeId inode;
    std::uint64_t cookie = 0;
  };
  struct Node {
    Attributes attributes;
    InodeId parent;                              // directories
    std::unordered_map<std::string, Name> names;  // directories
    std::map<std::uint64_t, std::string> order;   // directories: cookie -> name
    std::vector<std::byte> bytes;
    std::string target;
    std::map<std::string, std::string> xattrs;
    unsigned open = 0;
  };
  struct Open {
    InodeId inode;
  };

  Result<Node*> node_locked(InodeId inode);
  Result<Node*> directory_locked(InodeId inode);
  Result<Node*> child_locked(Node& directory, const std::string& name);
  Result<Node*> add_locked(InodeId parent, const std::string& name, FileType type,
                           std::uint32_t mode, const Caller& caller);
  void attach_locked(Node& directory, const std::string& name, InodeId inode);
  void detach_locked(Node& directory, const std::string& name);
  void drop_if_unused_locked(Node& node);
  void resize_locked(Node& node, std::uint64_t size);
  void touch_locked(Node& node, bool contents);
  OpenFilePtr open_locked(Node& node);
  static Open& open_of(OpenFile& file) { return reinterpret_cast<Open&>(file); }
  Result<void> delay_lookup(const std::string& name, Interrupt* interrupt);
  Result<void> wait_while_blocked(Interrupt* interrupt);

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::unordered_map<InodeId, Node> nodes_;
  std::uint64_t next_inode_ = 2;
  std::uint64_t next_cookie_ = 1;

  std::string slow_prefix_;
  std::chrono::milliseconds slow_delay_{0};
  unsigned slow_together_ = 0;
  unsigned slow_now_ = 0;
  unsigned slow_max_ = 0;
  bool reads_blocked_ = false;
  unsigned blocked_reads_ = 0;
  bool attributes_away_ = false;
  Errc contents_error_ = Errc::ok;
  Counts counts_;
};

}  // namespace dfs
