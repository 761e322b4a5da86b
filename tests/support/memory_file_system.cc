#include "tests/support/memory_file_system.h"

#include <algorithm>
#include <linux/falloc.h>
#include <sys/stat.h>

#include "common/base/clock.h"

namespace dfs {
namespace {

using Change = MemoryNode::Change;

void clear_set_id(Attributes& attributes) {
  attributes.mode &= ~static_cast<std::uint32_t>(S_ISUID);
  if (attributes.mode & S_IXGRP) attributes.mode &= ~static_cast<std::uint32_t>(S_ISGID);
}

}  // namespace

MemoryFileSystem::Counts MemoryFileSystem::counts() const {
  const std::lock_guard lock(mutex_);
  Counts counts = counts_;
  counts.interrupted = obstacles_.interrupted();
  counts.locks = locks_.locks();
  counts.lock_waits = lock_waits_.size();
  return counts;
}

void MemoryFileSystem::overwrite_elsewhere(InodeId inode, const std::string& bytes) {
  const std::lock_guard lock(mutex_);
  MemoryNode& node = nodes_.at(inode);
  const BufferView view = as_bytes(bytes);
  node.bytes.assign(view.begin(), view.end());
  node.attributes.size = bytes.size();
  node.changed_elsewhere = true;
  node.touch(Change::contents);
}

InodeId MemoryFileSystem::find(InodeId parent, const std::string& name) const {
  const std::lock_guard lock(mutex_);
  return nodes_.at(parent).names.at(name).inode;
}

// --- names --------------------------------------------------------------------

FileSystem::Keep MemoryFileSystem::keep_name(InodeId directory, const std::string& name,
                                             InodeId inode) const {
  const std::lock_guard lock(mutex_);
  return keeps_absences_ ? Keep::for_a_while : FileSystem::keep_name(directory, name, inode);
}

Result<Attributes> MemoryFileSystem::lookup(InodeId parent, const std::string& name,
                                            const CallContext& context) {
  TRY(obstacles_.pass_lookup(name, context.interrupt));
  const std::lock_guard lock(mutex_);
  ++counts_.lookups;
  if (name.size() > kNameMax) return fail(Errc::name_too_long);
  MemoryNode* directory = TRY(nodes_.find_directory(parent));
  MemoryNode* child = TRY(nodes_.child(*directory, name));
  return child->attributes;
}

Result<Attributes> MemoryFileSystem::make_node(InodeId parent, const std::string& name,
                                               FileType type, std::uint32_t mode,
                                               std::uint64_t rdev, const CallContext& context) {
  TRY(obstacles_.pass_new_name());
  const std::lock_guard lock(mutex_);
  MemoryNode* node = TRY(nodes_.add(parent, name, type, mode & ~context.umask, context.caller));
  node->attributes.rdev = rdev;
  return node->attributes;
}

Result<Attributes> MemoryFileSystem::make_symlink(InodeId parent, const std::string& name,
                                                  const std::string& target,
                                                  const CallContext& context) {
  TRY(obstacles_.pass_new_name());
  const std::lock_guard lock(mutex_);
  MemoryNode* node = TRY(nodes_.add(parent, name, FileType::symlink, 0777, context.caller));
  node->target = target;
  node->attributes.size = target.size();
  return node->attributes;
}

Result<std::string> MemoryFileSystem::read_symlink(InodeId inode, const CallContext& context) {
  const std::lock_guard lock(mutex_);
  MemoryNode* node = TRY(nodes_.find(inode));
  node->accessed(context.keeps_access_time);
  return node->target;
}

Result<Attributes> MemoryFileSystem::link(InodeId inode, InodeId new_parent,
                                          const std::string& new_name, const CallContext&) {
  TRY(obstacles_.pass_new_name());
  const std::lock_guard lock(mutex_);
  if (new_name.size() > kNameMax) return fail(Errc::name_too_long);
  MemoryNode* node = TRY(nodes_.find(inode));
  MemoryNode* directory = TRY(nodes_.find_directory(new_parent));
  if (directory->names.contains(new_name)) return fail(Errc::exists);
  nodes_.attach(*directory, new_name, inode);
  ++node->attributes.nlink;
  node->touch(Change::attributes);
  return node->attributes;
}

Result<void> MemoryFileSystem::unlink(InodeId parent, const std::string& name,
                                      const CallContext&) {
  const std::lock_guard lock(mutex_);
  MemoryNode* directory = TRY(nodes_.find_directory(parent));
  MemoryNode* node = TRY(nodes_.child(*directory, name));
  if (node->is_directory()) return fail(Errc::is_directory);
  nodes_.detach(*directory, name);
  --node->attributes.nlink;
  node->touch(Change::attributes);
  nodes_.drop_if_unused(*node);
  return {};
}

Result<void> MemoryFileSystem::remove_directory(InodeId parent, const std::string& name,
                                                const CallContext&) {
  const std::lock_guard lock(mutex_);
  MemoryNode* directory = TRY(nodes_.find_directory(parent));
  MemoryNode* node = TRY(nodes_.child(*directory, name));
  if (!node->is_directory()) return fail(Errc::not_directory);
  if (!node->names.empty()) return fail(Errc::not_empty);
  nodes_.detach(*directory, name);
  --directory->attributes.nlink;
  node->attributes.nlink = 0;
  nodes_.drop_if_unused(*node);
  return {};
}

Result<void> MemoryFileSystem::rename(const RenameArgs& args, const CallContext&) {
  const std::lock_guard lock(mutex_);
  if (args.new_name.size() > kNameMax) return fail(Errc::name_too_long);
  MemoryNode* from = TRY(nodes_.find_directory(args.parent));
  MemoryNode* to = TRY(nodes_.find_directory(args.new_parent));
  MemoryNode* source = TRY(nodes_.child(*from, args.name));
  const auto existing = to->names.find(args.new_name);
  const bool replaces = existing != to->names.end();
  if (replaces && args.no_replace) return fail(Errc::exists);
  if (!replaces && args.exchange) return fail(Errc::not_found);
  MemoryNode* target = nullptr;
  if (replaces) target = TRY(nodes_.find(existing->second.inode));
  if (target == source) return {};

  const auto moved = [&](MemoryNode& node, MemoryNode& old_parent, MemoryNode& new_parent) {
    if (node.is_directory()) {
      node.parent = new_parent.attributes.inode;
      --old_parent.attributes.nlink;
      ++new_parent.attributes.nlink;
    }
    node.touch(Change::attributes);
  };

  if (args.exchange) {
    std::swap(from->names[args.name].inode, to->names[args.new_name].inode);
    moved(*source, *from, *to);
    moved(*target, *to, *from);
    return {};
  }
  if (target != nullptr) {
    if (target->is_directory() && !source->is_directory()) return fail(Errc::is_directory);
    if (!target->is_directory() && source->is_directory()) return fail(Errc::not_directory);
    if (!target->names.empty()) return fail(Errc::not_empty);
    nodes_.detach(*to, args.new_name);
    if (target->is_directory()) --to->attributes.nlink;
    target->attributes.nlink = target->is_directory() ? 0 : target->attributes.nlink - 1;
    nodes_.drop_if_unused(*target);
  }
  nodes_.detach(*from, args.name);
  nodes_.attach(*to, args.new_name, source->attributes.inode);
  moved(*source, *from, *to);
  return {};
}

Result<ReadDirResult> MemoryFileSystem::read_directory(InodeId inode, std::uint64_t cookie,
                                                       std::uint32_t entries_max,
                                                       const CallContext& context) {
  const std::lock_guard lock(mutex_);
  ++counts_.directory_reads;
  MemoryNode* directory = TRY(nodes_.find_directory(inode));
  directory->accessed(context.keeps_access_time);
  ReadDirResult result;
  result.parent = directory->parent;
  auto next = directory->order.upper_bound(cookie);
  for (; next != directory->order.end() && result.entries.size() < entries_max; ++next) {
    MemoryNode* node = TRY(nodes_.find(directory->names.at(next->second).inode));
    result.entries.push_back({next->second, node->attributes, next->first});
  }
  result.end = next == directory->order.end();
  return result;
}

// --- attributes ---------------------------------------------------------------

Result<Attributes> MemoryFileSystem::get_attributes(InodeId inode, const CallContext& context) {
  const std::lock_guard lock(mutex_);
  if (!context.may_wait && obstacles_.attributes_are_away()) {
    ++counts_.put_off;
    return fail(Errc::would_wait);
  }
  ++counts_.get_attributes;
  MemoryNode* node = TRY(nodes_.find(inode));
  return node->attributes;
}

Result<Attributes> MemoryFileSystem::set_attributes(const SetAttrArgs& args, const CallContext&) {
  const std::lock_guard lock(mutex_);
  MemoryNode* node = TRY(nodes_.find(args.inode));
  const WallNanos now = SystemClock::instance().wall();
  Attributes& attributes = node->attributes;
  if (args.size) {
    node->resize(*args.size);
    node->touch(Change::contents);
  }
  if (args.clear_set_id) clear_set_id(attributes);
  if (args.mode) attributes.mode = *args.mode;
  if (args.uid) attributes.uid = *args.uid;
  if (args.gid) attributes.gid = *args.gid;
  node->touch(Change::attributes);
  if (args.atime) attributes.atime = *args.atime;
  if (args.mtime) attributes.mtime = *args.mtime;
  if (args.ctime) attributes.ctime = *args.ctime;
  if (args.atime_now) attributes.atime = now;
  if (args.mtime_now) attributes.mtime = now;
  return attributes;
}

Result<void> MemoryFileSystem::set_xattr(const SetXattrArgs& args, const CallContext&) {
  const std::lock_guard lock(mutex_);
  MemoryNode* node = TRY(nodes_.find(args.inode));
  const bool there = node->xattrs.contains(args.name);
  if (there && args.create_only) return fail(Errc::exists);
  if (!there && args.replace_only) return fail(Errc::no_data);
  node->xattrs[args.name] = args.value;
  if (args.clear_set_gid) node->attributes.mode &= ~static_cast<std::uint32_t>(S_ISGID);
  node->touch(Change::attributes);
  return {};
}

Result<std::string> MemoryFileSystem::get_xattr(InodeId inode, const std::string& name,
                                                const CallContext&) {
  const std::lock_guard lock(mutex_);
  ++counts_.get_xattrs;
  MemoryNode* node = TRY(nodes_.find(inode));
  const auto found = node->xattrs.find(name);
  if (found == node->xattrs.end()) return fail(Errc::no_data);
  return found->second;
}

Result<std::vector<std::string>> MemoryFileSystem::list_xattr(InodeId inode, const CallContext&) {
  const std::lock_guard lock(mutex_);
  MemoryNode* node = TRY(nodes_.find(inode));
  std::vector<std::string> names;
  for (const auto& [name, value] : node->xattrs) names.push_back(name);
  return names;
}

Result<void> MemoryFileSystem::remove_xattr(InodeId inode, const std::string& name,
                                            const CallContext&) {
  const std::lock_guard lock(mutex_);
  MemoryNode* node = TRY(nodes_.find(inode));
  if (node->xattrs.erase(name) == 0) return fail(Errc::no_data);
  node->touch(Change::attributes);
  return {};
}

Result<StatFsResult> MemoryFileSystem::stat_fs(const CallContext&) {
  const std::lock_guard lock(mutex_);
  return StatFsResult{100 * GiB, 60 * GiB, nodes_.size()};
}

// --- contents -----------------------------------------------------------------

OpenFilePtr MemoryFileSystem::open_locked(MemoryNode& node) {
  ++node.open;
  ++counts_.open_now;
  auto open = std::make_shared<Open>(Open{node.attributes.inode});
  return {open, reinterpret_cast<OpenFile*>(open.get())};
}

Result<Opened> MemoryFileSystem::open(InodeId inode, const OpenOptions& options,
                                      const CallContext& context) {
  const std::lock_guard lock(mutex_);
  MemoryNode* node = TRY(nodes_.find(inode));
  if (options.truncate) {
    node->resize(0);
    node->touch(Change::contents);
  }
  Opened opened{.file = open_locked(*node), .attributes = node->attributes};
  opened.was_locked_here = node->was_locked;
  if (keeps_pages_) {
    node->accessed(context.keeps_access_time);
    opened.keep_cache = opened.access_time_moved = true;
  }
  return opened;
}

Result<Created> MemoryFileSystem::create(InodeId parent, const std::string& name,
                                         std::uint32_t mode, bool exclusive,
                                         const OpenOptions& options, const CallContext& context) {
  const std::lock_guard lock(mutex_);
  MemoryNode* directory = TRY(nodes_.find_directory(parent));
  if (const auto found = directory->names.find(name); found != directory->names.end()) {
    if (exclusive) return fail(Errc::exists);
    MemoryNode* node = TRY(nodes_.find(found->second.inode));
    if (node->is_directory()) return fail(Errc::is_directory);
    if (options.truncate) node->resize(0);
    return Created{open_locked(*node), node->attributes, false};
  }
  MemoryNode* node = TRY(nodes_.add(parent, name, FileType::regular,
                                     mode & ~context.umask, context.caller));
  return Created{open_locked(*node), node->attributes, true};
}

Result<Created> MemoryFileSystem::create_unnamed(InodeId directory, std::uint32_t mode,
                                                 const OpenOptions&, const CallContext& context) {
  const std::lock_guard lock(mutex_);
  MemoryNode* node = TRY(nodes_.add_unnamed(directory, mode & ~context.umask, context.caller));
  return Created{open_locked(*node), node->attributes, true};
}

Result<std::size_t> MemoryFileSystem::read(OpenFile& file, std::uint64_t offset,
                                           MutableBuffer into, const CallContext& context) {
  TRY(obstacles_.pass_read(context.interrupt));
  const std::lock_guard lock(mutex_);
  TRY(obstacles_.pass_contents());
  MemoryNode* node = TRY(nodes_.find(open_of(file).inode));
  node->accessed(context.keeps_access_time);
  if (offset >= node->bytes.size()) return std::size_t{0};
  const std::size_t count = std::min<std::size_t>(into.size(), node->bytes.size() - offset);
  std::copy_n(node->bytes.begin() + static_cast<std::ptrdiff_t>(offset), count, into.begin());
  return count;
}

Result<void> MemoryFileSystem::write(OpenFile& file, std::uint64_t offset, BufferView data,
                                     const CallContext&) {
  const std::lock_guard lock(mutex_);
  TRY(obstacles_.pass_contents());
  MemoryNode* node = TRY(nodes_.find(open_of(file).inode));
  counts_.largest_write = std::max<std::uint64_t>(counts_.largest_write, data.size());
  counts_.bytes_written += data.size();
  if (offset + data.size() > node->bytes.size()) node->resize(offset + data.size());
  std::copy(data.begin(), data.end(), node->bytes.begin() + static_cast<std::ptrdiff_t>(offset));
  node->touch(Change::contents);
  return {};
}

Result<void> MemoryFileSystem::flush(OpenFile&, const CallContext&) {
  const std::lock_guard lock(mutex_);
  ++counts_.flushes;
  return obstacles_.pass_contents();
}

Result<void> MemoryFileSystem::fsync(OpenFile&, const CallContext&) {
  const std::lock_guard lock(mutex_);
  ++counts_.fsyncs;
  return obstacles_.pass_contents();
}

Result<void> MemoryFileSystem::fsync_directory(InodeId inode, const CallContext&) {
  const std::lock_guard lock(mutex_);
  TRY(nodes_.find_directory(inode));
  return {};
}

void MemoryFileSystem::close(OpenFilePtr file) {
  std::unique_lock lock(mutex_);
  --counts_.open_now;
  for (const FileLock& end : open_of(*file).ends)
    static_cast<void>(locks_.set(SessionId{1}, {open_of(*file).inode, end, false, 0}));
  MemoryNode& node = nodes_.at(open_of(*file).inode);
  --node.open;
  nodes_.drop_if_unused(node);
  settle(std::move(lock));
}

Result<void> MemoryFileSystem::allocate(OpenFile& file, int mode, std::uint64_t offset,
                                        std::uint64_t length, const CallContext&) {
  constexpr int kKnown = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE;
  if ((mode & ~kKnown) != 0) return fail(Errc::unsupported);
  const std::lock_guard lock(mutex_);
  MemoryNode* node = TRY(nodes_.find(open_of(file).inode));
  const std::uint64_t end = offset + length;
  if ((mode & FALLOC_FL_KEEP_SIZE) == 0 && end > node->bytes.size()) node->resize(end);
  if ((mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) != 0) {
    const std::uint64_t size = node->bytes.size();
    std::fill(node->bytes.begin() + static_cast<std::ptrdiff_t>(std::min(offset, size)),
              node->bytes.begin() + static_cast<std::ptrdiff_t>(std::min(end, size)),
              std::byte{0});
  }
  node->touch(Change::contents);
  return {};
}

Result<std::optional<std::uint64_t>> MemoryFileSystem::seek(OpenFile& file, std::uint64_t offset,
                                                            bool data, const CallContext&) {
  const std::lock_guard lock(mutex_);
  MemoryNode* node = TRY(nodes_.find(open_of(file).inode));
  if (offset >= node->bytes.size()) return std::optional<std::uint64_t>{};
  return std::optional<std::uint64_t>{data ? offset : node->bytes.size()};
}

Result<std::uint64_t> MemoryFileSystem::copy_range(OpenFile& from, OpenFile& to,
                                                   const CopyRange& range, const CallContext&) {
  const std::lock_guard lock(mutex_);
  ++counts_.copies;
  const std::uint64_t most = TRY(obstacles_.pass_copy(range.length));
  const MemoryNode* source = TRY(nodes_.find(open_of(from).inode));
  MemoryNode* target = TRY(nodes_.find(open_of(to).inode));
  const std::uint64_t left = source->bytes.size() - std::min(source->bytes.size(), range.from);
  const std::uint64_t length = std::min(most, left);
  if (range.to + length > target->bytes.size()) target->resize(range.to + length);
  std::copy_n(source->bytes.begin() + static_cast<std::ptrdiff_t>(range.from), length,
              target->bytes.begin() + static_cast<std::ptrdiff_t>(range.to));
  target->touch(Change::contents);
  return length;
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
