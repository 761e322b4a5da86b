#include <algorithm>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuse/operations.h"
#include "fuse/request_hints.h"
#include "fuse/worker_pool.h"

namespace dfs::fuse {
namespace {

constexpr std::uint32_t kPermissionBits = 07777;
// The answer has 32 bits for the length. Programs ask again for the rest.
constexpr std::uint64_t kCopyBytesMax = 2 * GiB;

// The kernel puts what is appended into its pages at the end that it knows of, and
// in parts; other mounts may have moved the end, and would see the parts.
bool goes_past_pages(const SessionState& state, const OpenOptions& options) {
  if (!options.append || !options.write || !state.config.names_are_known) return false;
  // Older kernels leave in their pages what was there before.
  if (!state.forgets_names) return false;
  return !options.read || (state.agreed_flags & kernel::kDirectIoAllowMmap) != 0;
}

OpenOptions to_options(const SessionState& state, int flags) {
  OpenOptions options;
  const int access = flags & O_ACCMODE;
  options.read = access != O_WRONLY;
  options.write = access != O_RDONLY;
  options.append = (flags & O_APPEND) != 0;
  options.truncate = (flags & O_TRUNC) != 0;
  options.direct = (flags & O_DIRECT) != 0;
  options.past_pages = goes_past_pages(state, options);
  return options;
}

// O_NOATIME, also when fcntl(2) has set it.
CallContext reading(const Request& request, int flags) {
  CallContext context = request.context();
  context.keeps_access_time = (flags & O_NOATIME) != 0;
  return context;
}

// Nothing was written through it, and there is no lock that closing it ends: the
// kernel need not tell.
bool needs_no_flush(const OpenOptions& options, const Opened& opened) {
  return !options.write && !opened.was_locked_here;
}

Result<void> clear_set_id(Request& request, InodeId inode) {
  SetAttrArgs args;
  args.inode = inode;
  args.clear_set_id = true;
  TRY(request.files().set_attributes(args, request.context()));
  return {};
}

FileHandle& file_of(const Request& request, const fuse_file_info& info) {
  return request.state().open_files.get(info.fh);
}

// What FUSE_HANDLE_KILLPRIV_V2 makes our duty, for a write or truncation by
// somebody without the privilege to keep the bits.
Result<void> drop_set_id(Request& request, InodeId inode, SetIdMemory* memory) {
  SessionState& state = request.state();
  const SteadyTime now = state.clock.now();
  if (memory != nullptr && memory->known_absent(state.mode_changes, now)) return {};

  const std::uint64_t at_change = state.mode_changes.count();
  const Attributes attributes = TRY(state.files.get_attributes(inode, request.context()));
  if ((attributes.mode & (S_ISUID | S_ISGID)) != 0) {
    TRY(clear_set_id(request, inode));
  }
  if (memory != nullptr) memory->saw_none(at_change, now + state.config.attribute_timeout);
  return {};
}

Result<void> write_all(Request& request, InodeId inode, const fuse_file_info& info,
                       std::uint64_t offset, BufferView data) {
  FileHandle& file = file_of(request, info);
  if (current_hints().kill_set_id) {
    TRY(drop_set_id(request, inode, &file.set_id));
  }
  CallContext context = request.context();
  context.append = (info.flags & O_APPEND) != 0;  // also when fcntl(2) has set it
  return request.files().write(*file.file, offset, data, context);
}

Result<Opened> open_file(Request& request, InodeId inode, int flags) {
  const OpenOptions options = to_options(request.state(), flags);
  if (options.truncate && !request.context().may_wait) return fail(Errc::would_wait);
  if (options.truncate && current_hints().kill_set_id) {
    TRY(drop_set_id(request, inode, nullptr));
  }
  return request.files().open(inode, options, reading(request, flags));
}

Result<Created> create_file(Request& request, InodeId parent, const char* name,
                            std::uint32_t mode, int flags) {
  const OpenOptions options = to_options(request.state(), flags);
  // What O_EXCL says then, that no name may follow, the kernel sees to.
  if (current_hints().unnamed) {
    return request.files().create_unnamed(parent, mode, options, request.context());
  }
  const bool exclusive = (flags & O_EXCL) != 0;
  return request.files().create(parent, name, mode, exclusive, options, request.context());
}

std::unique_ptr<FileHandle> handle_of(OpenFilePtr file, int flags) {
  auto handle = std::make_unique<FileHandle>();
  handle->file = std::move(file);
  handle->syncs_changes = (flags & O_DSYNC) != 0;  // O_SYNC has this bit too
  return handle;
}

Result<std::uint64_t> keep(Request& request, InodeId inode, OpenFilePtr file, int flags) {
  std::unique_ptr<FileHandle> kept = handle_of(std::move(file), flags);
  HandleRecord record{};
  record.kind = HandleRecord::file;
  record.inode = inode.value();
  record.flags = flags;
  record.made_for = current_hints().number;
  const auto number = request.state().open_files.add(kept, record);
  if (number) return *number;
  request.files().close(std::move(kept->file));
  return fail(Errc::no_memory, "too many files are open");
}

void close_file(SessionState& state, std::uint64_t number) {
  if (const auto handle = state.open_files.take(number)) state.files.close(std::move(handle->file));
}

// Opened by a process that did not come to tell the kernel.
void close_untold(SessionState& state) {
  if (!current_hints().is_repeated) return;
  if (const auto number = state.memory.handles().take_made_for(current_hints().number))
    close_file(state, *number);
}

// The kernel has each write through O_SYNC followed by an fsync; of other
// changes it says nothing.
Result<void> sync_if_asked(Request& request, FileHandle& file) {
  if (!file.syncs_changes) return {};
  return request.files().fsync(*file.file, request.context());
}

Result<void> allocate(Request& request, FileHandle& file, int mode, const FileRange& range) {
  TRY(request.files().allocate(*file.file, mode, range.offset, range.length, request.context()));
  return sync_if_asked(request, file);
}

Result<std::uint64_t> copy_range(Request& request, FileHandle& from, FileHandle& to,
                                 const CopyRange& range) {
  const std::uint64_t copied =
      TRY(request.files().copy_range(*from.file, *to.file, range, request.context()));
  TRY(sync_if_asked(request, to));
  return copied;
}

}  // namespace

void reopen_file(SessionState& state, const HandleRecord& record) {
  const auto owner = [](std::uint64_t stored) {
    return stored == 0 ? std::nullopt : std::optional(stored - 1);
  };
  FormerFile former;
  former.inode = InodeId{record.inode};
  former.options = to_options(state, record.flags);
  former.posix_owner = owner(record.posix_owner);
  former.flock_owner = owner(record.flock_owner);
  state.open_files.put(record.number, handle_of(state.files.reopen(former), record.flags));
}

void do_open(fuse_req_t handle, fuse_ino_t inode, fuse_file_info* info) {
  Request request(handle, Operation::open, InodeId{inode});
  SessionState& state = request.state();
  close_untold(state);
  const OpenOptions options = to_options(state, info->flags);
  Result<Opened> opened = open_file(request, InodeId{inode}, info->flags);
  if (options.truncate) request.changed();
  if (!opened) return request.reply_error(opened.error());
  info->keep_cache = opened->keep_cache;
  info->direct_io = options.past_pages;
  info->noflush = needs_no_flush(options, *opened);
  // The kernel knows of an access only where it has asked for bytes.
  if (opened->access_time_moved) state.forget_attributes(InodeId{inode});
  const auto number = keep(request, InodeId{inode}, std::move(opened->file), info->flags);
  if (!number) return request.reply_error(number.error());
  info->fh = *number;
  if (!request.reply_open(*info)) close_file(state, info->fh);
}

void do_create(fuse_req_t handle, fuse_ino_t parent, const char* name, mode_t mode,
               fuse_file_info* info) {
  Request request(handle, Operation::create, InodeId{parent});
  SessionState& state = request.state();
  close_untold(state);
  Result<Created> created =
      create_file(request, InodeId{parent}, name, mode & kPermissionBits, info->flags);
  request.changed();
  if (!created) return request.reply_error(created.error());
  info->direct_io = to_options(state, info->flags).past_pages;
  const auto number = keep(request, created->attributes.inode, std::move(created->file), info->flags);
  if (!number) return request.reply_error(number.error());
  info->fh = *number;
  if (!request.reply_create(InodeId{parent}, name, created->attributes, *info))
    close_file(state, info->fh);
}

void do_read(fuse_req_t handle, fuse_ino_t inode, std::size_t size, off_t offset,
             fuse_file_info* info) {
  Request request(handle, Operation::read, InodeId{inode});
  const MutableBuffer into = WorkerPool::payload();
  const auto bytes =
      request.files().read(*file_of(request, *info).file, static_cast<std::uint64_t>(offset),
                           into.first(std::min(size, into.size())),
                           reading(request, info->flags));
  if (!bytes) return request.reply_error(bytes.error());
  request.reply_bytes(into.first(*bytes));
}

void do_write(fuse_req_t handle, fuse_ino_t inode, const char* data, std::size_t size,
              off_t offset, fuse_file_info* info) {
  Request request(handle, Operation::write, InodeId{inode});
  const auto written =
      write_all(request, InodeId{inode}, *info, static_cast<std::uint64_t>(offset),
                as_bytes({data, size}));
  request.changed();
  if (!written) return request.reply_error(written.error());
  request.reply_written(size);
}

void do_flush(fuse_req_t handle, fuse_ino_t inode, fuse_file_info* info) {
  Request request(handle, Operation::flush, InodeId{inode});
  OpenFile& file = *file_of(request, *info).file;
  // In this order: what goes wrong with the bytes is for flush() to report.
  const Result<void> unlocked =
      request.files().release_locks(file, info->lock_owner, request.context());
  if (!unlocked && unlocked.error().code == Errc::would_wait) return request.reply(unlocked);
  const Result<void> flushed = request.files().flush(file, request.context());
  request.reply(flushed ? unlocked : flushed);
}

void do_fsync(fuse_req_t handle, fuse_ino_t inode, int, fuse_file_info* info) {
  Request request(handle, Operation::fsync, InodeId{inode});
  request.reply(request.files().fsync(*file_of(request, *info).file, request.context()));
}

void do_release(fuse_req_t handle, fuse_ino_t inode, fuse_file_info* info) {
  Request request(handle, Operation::release, InodeId{inode});
  close_file(request.state(), info->fh);
  request.reply({});
}

void do_fallocate(fuse_req_t handle, fuse_ino_t inode, int mode, off_t offset, off_t length,
                  fuse_file_info* info) {
  Request request(handle, Operation::fallocate, InodeId{inode});
  const FileRange range{static_cast<std::uint64_t>(offset), static_cast<std::uint64_t>(length)};
  const auto allocated = allocate(request, file_of(request, *info), mode, range);
  request.changed();
  request.reply(allocated);
}

void do_lseek(fuse_req_t handle, fuse_ino_t inode, off_t offset, int whence,
              fuse_file_info* info) {
  Request request(handle, Operation::lseek, InodeId{inode});
  if (whence != SEEK_DATA && whence != SEEK_HOLE) {
    return request.reply_error({Errc::invalid, "only SEEK_DATA and SEEK_HOLE come here"});
  }
  const auto found =
      request.files().seek(*file_of(request, *info).file, static_cast<std::uint64_t>(offset),
                           whence == SEEK_DATA, request.context());
  if (!found) return request.reply_error(found.error());
  if (!*found) return request.reply_beyond_end();
  request.reply_offset(**found);
}

void do_copy_file_range(fuse_req_t handle, fuse_ino_t, off_t from_offset,
                        fuse_file_info* from_info, fuse_ino_t to, off_t to_offset,
                        fuse_file_info* to_info, std::size_t length, int flags) {
  Request request(handle, Operation::copy_file_range, InodeId{to});
  if (flags != 0) return request.reply_error({Errc::invalid, "flags that nobody has defined"});
  CopyRange range;
  range.from = static_cast<std::uint64_t>(from_offset);
  range.to = static_cast<std::uint64_t>(to_offset);
  range.length = std::min<std::uint64_t>(length, kCopyBytesMax);
  const auto copied = copy_range(request, file_of(request, *from_info), file_of(request, *to_info), range);
  request.changed();
  if (!copied) return request.reply_error(copied.error());
  request.reply_written(*copied);
}

}  // namespace dfs::fuse
