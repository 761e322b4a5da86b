#include "tests/support/memory_file_system.h"

#include <algorithm>
#include <linux/falloc.h>
#include <sys/stat.h>

#include "common/base/clock.h"

namespace dfs {
namespace {

constexpr std::uint64_t kDirectoryBytes = 4096;

void clear_set_id(Attributes& attributes) {
  attributes.mode &= ~static_cast<std::uint32_t>(S_ISUID);
  if (attributes.mode & S_IXGRP) attributes.mode &= ~static_cast<std::uint32_t>(S_ISGID);
}

}  // namespace

MemoryFileSystem::MemoryFileSystem() {
  Node& root = nodes_[kRootInode];
  root.attributes.inode = kRootInode;
  root.attributes.type = FileType::directory;
  root.attributes.mode = 0755;
  root.attributes.nlink = 2;
  root.attributes.size = kDirectoryBytes;
  root.attributes.generation = 1;
  root.parent = kRootInode;
  touch_locked(root, true);
}

// --- misbehaviour -------------------------------------------------------------

void MemoryFileSystem::slow_lookups(std::string prefix, std::chrono::milliseconds delay,
                                    unsigned together) {
  const std::lock_guard lock(mutex_);
  slow_prefix_ = std::move(prefix);
  slow_delay_ = delay;
  slow_together_ = together;
}

unsigned MemoryFileSystem::slow_lookups_at_once_max() const {
  const std::lock_guard lock(mutex_);
  return slow_max_;
}

void MemoryFileSystem::block_reads(bool blocked) {
  const std::lock_guard lock(mutex_);
  reads_blocked_ = blocked;
  changed_.notify_all();
}

void MemoryFileSystem::wait_for_blocked_reads(unsigned count) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return blocked_reads_ >= count; });
}

void MemoryFileSystem::keep_attributes_away() {
  const std::lock_guard lock(mutex_);
  attributes_away_ = true;
}

void MemoryFileSystem::fail_contents(Errc code) {
  const std::lock_guard lock(mutex_);
  contents_error_ = code;
}

MemoryFileSystem::Counts MemoryFileSystem::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

void MemoryFileSystem::overwrite_elsewhere(InodeId inode, const std::string& bytes) {
  const std::lock_guard lock(mutex_);
  Node& node = nodes_.at(inode);
  const BufferView view = as_bytes(bytes);
  node.bytes.assign(view.begin(), view.end());
  node.attributes.size = bytes.size();
  touch_locked(node, true);
}

InodeId MemoryFileSystem::find(InodeId parent, const std::string& name) const {
  const std::lock_guard lock(mutex_);
  return nodes_.at(parent).names.at(name).inode;
}

Result<void> MemoryFileSystem::delay_lookup(const std::string& name, Interrupt* interrupt) {
  std::unique_lock lock(mutex_);
  if (slow_delay_.count() == 0 || name.rfind(slow_prefix_, 0) != 0) return {};
  slow_max_ = std::max(slow_max_, ++slow_now_);
  changed_.notify_all();
  const auto until = std::chrono::steady_clock::now() + slow_delay_;
  const Interrupt::Wait wait(interrupt, changed_);
  bool interrupted = false;
  while (!interrupted && slow_max_ < slow_together_ && std::chrono::steady_clock::now() < until) {
    changed_.wait_until(lock, until);
    interrupted = interrupt != nullptr && interrupt->interrupted();
  }
  --slow_now_;
  if (!interrupted) return {};
  ++counts_.interrupted;
  return fail(Errc::interrupted);
}

Result<void> MemoryFileSystem::wait_while_blocked(Interrupt* interrupt) {
  std::unique_lock lock(mutex_);
  if (!reads_blocked_) return {};
  ++blocked_reads_;
  changed_.notify_all();
  const Interrupt::Wait wait(interrupt, changed_);
  bool interrupted = false;
  while (reads_blocked_ && !interrupted) {
    changed_.wait_for(lock, std::chrono::milliseconds(100));
    interrupted = interrupt != nullptr && interrupt->interrupted();
  }
  --blocked_reads_;
  if (!interrupted) return {};
  ++counts_.interrupted;
  return fail(Errc::interrupted);
}

// --- parts --------------------------------------------------------------------

Result<MemoryFileSystem::Node*> MemoryFileSystem::node_locked(InodeId inode) {
  const auto found = nodes_.find(inode);
  if (found == nodes_.end()) return fail(Errc::stale);
  return &found->second;
}

Result<MemoryFileSystem::Node*> MemoryFileSystem::directory_locked(InodeId inode) {
  Node* node = TRY(node_locked(inode));
  if (node->attributes.type != FileType::directory) return fail(Errc::not_directory);
  return node;
}

Result<MemoryFileSystem::Node*> MemoryFileSystem::child_locked(Node& directory,
                                                               const std::string& name) {
  if (name == ".") return &directory;
  if (name == "..") return node_locked(directory.parent);
  const auto found = directory.names.find(name);
  if (found == directory.names.end()) return fail(Errc::not_found);
  return node_locked(found->second.inode);
}

void MemoryFileSystem::touch_locked(Node& node, bool contents) {
  const WallNanos now = SystemClock::instance().wall();
  node.attributes.ctime = now;
  ++node.attributes.change;
  if (!contents) return;
  node.attributes.mtime = now;
  ++node.attributes.data_change;
}

void MemoryFileSystem::attach_locked(Node& directory, const std::string& name, InodeId inode) {
  const std::uint64_t cookie = next_cookie_++;
  directory.names[name] = {inode, cookie};
  directory.order[cookie] = name;
  touch_locked(directory, true);
}

void MemoryFileSystem::detach_locked(Node& directory, const std::string& name) {
  const auto found = directory.names.find(name);
  directory.order.erase(found->second.cookie);
  directory.names.erase(found);
  touch_locked(directory, true);
}

void MemoryFileSystem::drop_if_unused_locked(Node& node) {
  if (node.attributes.nlink == 0 && node.open == 0) nodes_.erase(node.attributes.inode);
}

void MemoryFileSystem::resize_locked(Node& node, std::uint64_t size) {
  node.bytes.resize(size);
  node.attributes.size = size;
  node.attributes.allocated = size;
}

Result<MemoryFileSystem::Node*> MemoryFileSystem::add_locked(InodeId parent,
                                                             const std::string& name,
                                                             FileType type, std::uint32_t mode,
                                                             const Caller& caller) {
  if (name.size() > kNameMax) return fail(Errc::name_too_long);
  Node* directory = TRY(directory_locked(parent));
  if (directory->attributes.nlink == 0) return fail(Errc::not_found);
  if (directory->names.contains(name)) return fail(Errc::exists);

  Node node;
  node.attributes.inode = InodeId{next_inode_++};
  node.attributes.type = type;
  node.attributes.mode = mode;
  node.attributes.uid = caller.uid;
  node.attributes.gid = caller.gid;
  node.attributes.nlink = 1;
  node.attributes.generation = 1;
  if (directory->attributes.mode & S_ISGID) {
    node.attributes.gid = directory->attributes.gid;
    if (type == FileType::directory) node.attributes.mode |= S_ISGID;
  }
  if (type == FileType::directory) {
    node.attributes.nlink = 2;
    node.attributes.size = kDirectoryBytes;
    node.parent = parent;
    ++directory->attributes.nlink;
  }
  touch_locked(node, true);
  node.attributes.atime = node.attributes.btime = node.attributes.mtime;
  attach_locked(*directory, name, node.attributes.inode);
  const InodeId inode = node.attributes.inode;
  return &nodes_.emplace(inode, std::move(node)).first->second;
}

// --- names --------------------------------------------------------------------

Result<Attributes> MemoryFileSystem::lookup(InodeId parent, const std::string& name,
                                            const CallContext& context) {
  TRY(delay_lookup(name, context.interrupt));
  const std::lock_guard lock(mutex_);
  ++counts_.lookups;
  if (name.size() > kNameMax) return fail(Errc::name_too_long);
  Node* directory = TRY(directory_locked(parent));
  Node* child = TRY(child_locked(*directory, name));
  return child->attributes;
}

Result<Attributes> MemoryFileSystem::make_node(InodeId parent, const std::string& name,
                                               FileType type, std::uint32_t mode,
                                               std::uint64_t rdev, const CallContext& context) {
  const std::lock_guard lock(mutex_);
  Node* node = TRY(add_locked(parent, name, type, mode, context.caller));
  node->attributes.rdev = rdev;
  return node->attributes;
}

Result<Attributes> MemoryFileSystem::make_symlink(InodeId parent, const std::string& name,
                                                  const std::string& target,
                                                  const CallContext& context) {
  const std::lock_guard lock(mutex_);
  Node* node = TRY(add_locked(parent, name, FileType::symlink, 0777, context.caller));
  node->target = target;
  node->attributes.size = target.size();
  return node->attributes;
}

Result<std::string> MemoryFileSystem::read_symlink(InodeId inode, const CallContext&) {
  const std::lock_guard lock(mutex_);
  Node* node = TRY(node_locked(inode));
  return node->target;
}

Result<Attributes> MemoryFileSystem::link(InodeId inode, InodeId new_parent,
                                          const std::string& new_name, const CallContext&) {
  const std::lock_guard lock(mutex_);
  if (new_name.size() > kNameMax) return fail(Errc::name_too_long);
  Node* node = TRY(node_locked(inode));
  Node* directory = TRY(directory_locked(new_parent));
  if (directory->names.contains(new_name)) return fail(Errc::exists);
  attach_locked(*directory, new_name, inode);
  ++node->attributes.nlink;
  touch_locked(*node, false);
  return node->attributes;
}

Result<void> MemoryFileSystem::unlink(InodeId parent, const std::string& name,
                                      const CallContext&) {
  const std::lock_guard lock(mutex_);
  Node* directory = TRY(directory_locked(parent));
  Node* node = TRY(child_locked(*directory, name));
  if (node->attributes.type == FileType::directory) return fail(Errc::is_directory);
  detach_locked(*directory, name);
  --node->attributes.nlink;
  touch_locked(*node, false);
  drop_if_unused_locked(*node);
  return {};
}

Result<void> MemoryFileSystem::remove_directory(InodeId parent, const std::string& name,
                                                const CallContext&) {
  const std::lock_guard lock(mutex_);
  Node* directory = TRY(directory_locked(parent));
  Node* node = TRY(child_locked(*directory, name));
  if (node->attributes.type != FileType::directory) return fail(Errc::not_directory);
  if (!node->names.empty()) return fail(Errc::not_empty);
  detach_locked(*directory, name);
  --directory->attributes.nlink;
  node->attributes.nlink = 0;
  drop_if_unused_locked(*node);
  return {};
}

Result<void> MemoryFileSystem::rename(const RenameArgs& args, const CallContext&) {
  const std::lock_guard lock(mutex_);
  if (args.new_name.size() > kNameMax) return fail(Errc::name_too_long);
  Node* from = TRY(directory_locked(args.parent));
  Node* to = TRY(directory_locked(args.new_parent));
  Node* source = TRY(child_locked(*from, args.name));
  const auto existing = to->names.find(args.new_name);
  const bool replaces = existing != to->names.end();
  if (replaces && args.no_replace) return fail(Errc::exists);
  if (!replaces && args.exchange) return fail(Errc::not_found);
  Node* target = nullptr;
  if (replaces) target = TRY(node_locked(existing->second.inode));
  if (target == source) return {};

  const auto is_directory = [](const Node& node) {
    return node.attributes.type == FileType::directory;
  };
  const auto moved = [&](Node& node, Node& old_parent, Node& new_parent) {
    if (is_directory(node)) {
      node.parent = new_parent.attributes.inode;
      --old_parent.attributes.nlink;
      ++new_parent.attributes.nlink;
    }
    touch_locked(node, false);
  };

  if (args.exchange) {
    std::swap(from->names[args.name].inode, to->names[args.new_name].inode);
    moved(*source, *from, *to);
    moved(*target, *to, *from);
    return {};
  }
  if (target != nullptr) {
    if (is_directory(*target) && !is_directory(*source)) return fail(Errc::is_directory);
    if (!is_directory(*target) && is_directory(*source)) return fail(Errc::not_directory);
    if (!target->names.empty()) return fail(Errc::not_empty);
    detach_locked(*to, args.new_name);
    if (is_directory(*target)) --to->attributes.nlink;
    target->attributes.nlink = is_directory(*target) ? 0 : target->attributes.nlink - 1;
    drop_if_unused_locked(*target);
  }
  detach_locked(*from, args.name);
  attach_locked(*to, args.new_name, source->attributes.inode);
  moved(*source, *from, *to);
  return {};
}

Result<ReadDirResult> MemoryFileSystem::read_directory(InodeId inode, std::uint64_t cookie,
                                                       std::uint32_t entries_max,
                                                       const CallContext&) {
  const std::lock_guard lock(mutex_);
  ++counts_.directory_reads;
  Node* directory = TRY(directory_locked(inode));
  ReadDirResult result;
  result.parent = directory->parent;
  auto next = directory->order.upper_bound(cookie);
  for (; next != directory->order.end() && result.entries.size() < entries_max; ++next) {
    Node* node = TRY(node_locked(directory->names.at(next->second).inode));
    result.entries.push_back({next->second, node->attributes, next->first});
  }
  result.end = next == directory->order.end();
  return result;
}

// --- attributes ---------------------------------------------------------------

Result<Attributes> MemoryFileSystem::get_attributes(InodeId inode, const CallContext& context) {
  const std::lock_guard lock(mutex_);
  if (attributes_away_ && !context.may_wait) {
    ++counts_.put_off;
    return fail(Errc::would_wait);
  }
  ++counts_.get_attributes;
  Node* node = TRY(node_locked(inode));
  return node->attributes;
}

Result<Attributes> MemoryFileSystem::set_attributes(const SetAttrArgs& args, const CallContext&) {
  const std::lock_guard lock(mutex_);
  Node* node = TRY(node_locked(args.inode));
  const WallNanos now = SystemClock::instance().wall();
  Attributes& attributes = node->attributes;
  if (args.size) {
    resize_locked(*node, *args.size);
    touch_locked(*node, true);
  }
  if (args.clear_set_id) clear_set_id(attributes);
  if (args.mode) attributes.mode = *args.mode;
  if (args.uid) attributes.uid = *args.uid;
  if (args.gid) attributes.gid = *args.gid;
  touch_locked(*node, false);
  if (args.atime) attributes.atime = *args.atime;
  if (args.mtime) attributes.mtime = *args.mtime;
  if (args.ctime) attributes.ctime = *args.ctime;
  if (args.atime_now) attributes.atime = now;
  if (args.mtime_now) attributes.mtime = now;
  return attributes;
}

Result<void> MemoryFileSystem::set_xattr(const SetXattrArgs& args, const CallContext&) {
  const std::lock_guard lock(mutex_);
  Node* node = TRY(node_locked(args.inode));
  const bool there = node->xattrs.contains(args.name);
  if (there && args.create_only) return fail(Errc::exists);
  if (!there && args.replace_only) return fail(Errc::no_data);
  node->xattrs[args.name] = args.value;
  touch_locked(*node, false);
  return {};
}

Result<std::string> MemoryFileSystem::get_xattr(InodeId inode, const std::string& name,
                                                const CallContext&) {
  const std::lock_guard lock(mutex_);
  ++counts_.get_xattrs;
  Node* node = TRY(node_locked(inode));
  const auto found = node->xattrs.find(name);
  if (found == node->xattrs.end()) return fail(Errc::no_data);
  return found->second;
}

Result<std::vector<std::string>> MemoryFileSystem::list_xattr(InodeId inode, const CallContext&) {
  const std::lock_guard lock(mutex_);
  Node* node = TRY(node_locked(inode));
  std::vector<std::string> names;
  for (const auto& [name, value] : node->xattrs) names.push_back(name);
  return names;
}

Result<void> MemoryFileSystem::remove_xattr(InodeId inode, const std::string& name,
                                            const CallContext&) {
  const std::lock_guard lock(mutex_);
  Node* node = TRY(node_locked(inode));
  if (node->xattrs.erase(name) == 0) return fail(Errc::no_data);
  touch_locked(*node, false);
  return {};
}

Result<StatFsResult> MemoryFileSystem::stat_fs(const CallContext&) {
  const std::lock_guard lock(mutex_);
  return StatFsResult{100 * GiB, 60 * GiB, nodes_.size()};
}

// --- contents -----------------------------------------------------------------

OpenFilePtr MemoryFileSystem::open_locked(Node& node) {
  ++node.open;
  ++counts_.open_now;
  auto open = std::make_shared<Open>(Open{node.attributes.inode});
  return {open, reinterpret_cast<OpenFile*>(open.get())};
}

Result<Opened> MemoryFileSystem::open(InodeId inode, const OpenOptions& options,
                                      const CallContext&) {
  const std::lock_guard lock(mutex_);
  Node* node = TRY(node_locked(inode));
  if (options.truncate) {
    resize_locked(*node, 0);
    touch_locked(*node, true);
  }
  return Opened{open_locked(*node), node->attributes, false};
}

Result<Created> MemoryFileSystem::create(InodeId parent, const std::string& name,
                                         std::uint32_t mode, bool exclusive,
                                         const OpenOptions& options, const CallContext& context) {
  const std::lock_guard lock(mutex_);
  Node* directory = TRY(directory_locked(parent));
  if (const auto found = directory->names.find(name); found != directory->names.end()) {
    if (exclusive) return fail(Errc::exists);
    Node* node = TRY(node_locked(found->second.inode));
    if (node->attributes.type == FileType::directory) return fail(Errc::is_directory);
    if (options.truncate) resize_locked(*node, 0);
    return Created{open_locked(*node), node->attributes, false};
  }
  Node* node = TRY(add_locked(parent, name, FileType::regular, mode, context.caller));
  return Created{open_locked(*node), node->attributes, true};
}

Result<std::size_t> MemoryFileSystem::read(OpenFile& file, std::uint64_t offset,
                                           MutableBuffer into, const CallContext& context) {
  TRY(wait_while_blocked(context.interrupt));
  const std::lock_guard lock(mutex_);
  if (contents_error_ != Errc::ok) return fail(contents_error_, "as the test wanted it");
  Node* node = TRY(node_locked(open_of(file).inode));
  if (offset >= node->bytes.size()) return std::size_t{0};
  const std::size_t count = std::min<std::size_t>(into.size(), node->bytes.size() - offset);
  std::copy_n(node->bytes.begin() + static_cast<std::ptrdiff_t>(offset), count, into.begin());
  return count;
}

Result<void> MemoryFileSystem::write(OpenFile& file, std::uint64_t offset, BufferView data,
                                     const CallContext&) {
  const std::lock_guard lock(mutex_);
  if (contents_error_ != Errc::ok) return fail(contents_error_, "as the test wanted it");
  Node* node = TRY(node_locked(open_of(file).inode));
  counts_.largest_write = std::max<std::uint64_t>(counts_.largest_write, data.size());
  if (offset + data.size() > node->bytes.size()) resize_locked(*node, offset + data.size());
  std::copy(data.begin(), data.end(), node->bytes.begin() + static_cast<std::ptrdiff_t>(offset));
  touch_locked(*node, true);
  return {};
}

Result<void> MemoryFileSystem::flush(OpenFile&, const CallContext&) {
  const std::lock_guard lock(mutex_);
  ++counts_.flushes;
  if (contents_error_ != Errc::ok) return fail(contents_error_, "as the test wanted it");
  return {};
}

Result<void> MemoryFileSystem::fsync(OpenFile& file, const CallContext& context) {
  return flush(file, context);
}

Result<void> MemoryFileSystem::fsync_directory(InodeId inode, const CallContext&) {
  const std::lock_guard lock(mutex_);
  TRY(directory_locked(inode));
  return {};
}

void MemoryFileSystem::close(OpenFilePtr file) {
  const std::lock_guard lock(mutex_);
  --counts_.open_now;
  const auto found = nodes_.find(open_of(*file).inode);
  --found->second.open;
  drop_if_unused_locked(found->second);
}

Result<void> MemoryFileSystem::allocate(OpenFile& file, int mode, std::uint64_t offset,
                                        std::uint64_t length, const CallContext&) {
  constexpr int kKnown = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE;
  if ((mode & ~kKnown) != 0) return fail(Errc::unsupported);
  const std::lock_guard lock(mutex_);
  Node* node = TRY(node_locked(open_of(file).inode));
  const std::uint64_t end = offset + length;
  if ((mode & FALLOC_FL_KEEP_SIZE) == 0 && end > node->bytes.size()) resize_locked(*node, end);
  if ((mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) != 0) {
    const std::uint64_t size = node->bytes.size();
    std::fill(node->bytes.begin() + static_cast<std::ptrdiff_t>(std::min(offset, size)),
              node->bytes.begin() + static_cast<std::ptrdiff_t>(std::min(end, size)),
              std::byte{0});
  }
  touch_locked(*node, true);
  return {};
}

Result<std::optional<std::uint64_t>> MemoryFileSystem::seek(OpenFile& file, std::uint64_t offset,
                                                            bool data, const CallContext&) {
  const std::lock_guard lock(mutex_);
  Node* node = TRY(node_locked(open_of(file).inode));
  if (offset >= node->bytes.size()) return std::optional<std::uint64_t>{};
  return std::optional<std::uint64_t>{data ? offset : node->bytes.size()};
}

Result<std::vector<Extent>> MemoryFileSystem::extents(InodeId, const CallContext&) {
  return std::vector<Extent>{};
}

Result<void> MemoryFileSystem::write_back(const CallContext&) { return {}; }

Result<void> MemoryFileSystem::sync(const CallContext&) {
  const std::lock_guard lock(mutex_);
  ++counts_.syncs;
  return {};
}

}  // namespace dfs
