#include "fuse/request.h"

#include <cerrno>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "common/base/result.h"
#include "fuse/lock_waits.h"
#include "fuse/request_hints.h"
#include "fuse/worker_pool.h"

namespace dfs::fuse {
namespace {

// What programs take as a good size for one read or write. C's stdio
// allocates a buffer of this size for each open file, hence not more.
constexpr blksize_t kPreferredIoBytes = 64 * KiB;
constexpr std::uint64_t kStatBlockBytes = 512;

// Free inodes are not counted; programs only look whether there are any.
constexpr std::uint64_t kInodesAvailable = 1'000'000'000;
constexpr unsigned long kStatFsBlockBytes = 4096;

mode_t type_bits(FileType type) {
  switch (type) {
    case FileType::regular: return S_IFREG;
    case FileType::directory: return S_IFDIR;
    case FileType::symlink: return S_IFLNK;
    case FileType::fifo: return S_IFIFO;
    case FileType::socket: return S_IFSOCK;
    case FileType::character_device: return S_IFCHR;
    case FileType::block_device: return S_IFBLK;
  }
  return S_IFREG;
}

timespec to_timespec(WallNanos time) {
  constexpr WallNanos kPerSecond = 1'000'000'000;
  timespec result;
  result.tv_sec = time / kPerSecond;
  result.tv_nsec = time % kPerSecond;
  if (result.tv_nsec < 0) {  // before 1970: nanoseconds still count forward
    result.tv_nsec += kPerSecond;
    result.tv_sec -= 1;
  }
  return result;
}

kernel::StatxTime to_statx_time(WallNanos time) {
  const timespec at = to_timespec(time);
  return {at.tv_sec, static_cast<std::uint32_t>(at.tv_nsec), 0};
}

double seconds(std::chrono::milliseconds time) {
  return std::chrono::duration<double>(time).count();
}

// Until it is told otherwise: as long as no machine runs.
constexpr double kUntilTold = 1e9;

}  // namespace

struct stat to_stat(const Attributes& attributes) {
  struct stat result {};
  result.st_ino = attributes.inode.value();
  result.st_mode = type_bits(attributes.type) | attributes.mode;
  result.st_nlink = attributes.nlink;
  result.st_uid = attributes.uid;
  result.st_gid = attributes.gid;
  result.st_rdev = attributes.rdev;
  result.st_size = static_cast<off_t>(attributes.size);
  result.st_blksize = kPreferredIoBytes;
  result.st_blocks =
      static_cast<blkcnt_t>((attributes.allocated + kStatBlockBytes - 1) / kStatBlockBytes);
  result.st_atim = to_timespec(attributes.atime);
  result.st_mtim = to_timespec(attributes.mtime);
  result.st_ctim = to_timespec(attributes.ctime);
  return result;
}

kernel::Statx to_statx(const Attributes& attributes) {
  const struct stat basic = to_stat(attributes);
  kernel::Statx result{};
  result.mask = STATX_BASIC_STATS | STATX_BTIME;
  result.blksize = static_cast<std::uint32_t>(basic.st_blksize);
  result.nlink = attributes.nlink;
  result.uid = attributes.uid;
  result.gid = attributes.gid;
  result.mode = static_cast<std::uint16_t>(basic.st_mode);
  result.ino = attributes.inode.value();
  result.size = attributes.size;
  result.blocks = static_cast<std::uint64_t>(basic.st_blocks);
  result.atime = to_statx_time(attributes.atime);
  result.btime = to_statx_time(attributes.btime);
  result.ctime = to_statx_time(attributes.ctime);
  result.mtime = to_statx_time(attributes.mtime);
  result.rdev_major = major(basic.st_rdev);
  result.rdev_minor = minor(basic.st_rdev);
  return result;
}

Request::Request(fuse_req_t handle, Operation operation, InodeId inode)
    : handle_(handle),
      state_(*static_cast<SessionState*>(fuse_req_userdata(handle))),
      operation_(operation),
      inode_(inode),
      running_(&state_.memory.operations(), current_hints().number,
               current_hints().is_repeated ? RunningOperation::Run::repeated
                                           : RunningOperation::Run::first) {
  const fuse_ctx* caller = fuse_req_ctx(handle);
  context_.caller = {caller->uid, caller->gid, &running_};
  context_.interrupt = &interrupt_;
  context_.may_wait = WorkerPool::may_wait();
  context_.umask = caller->umask;  // of requests that make something, else 0
  state_.in_flight.add(interrupt_);
  fuse_req_interrupt_func(
      handle, [](fuse_req_t, void* data) { static_cast<Interrupt*>(data)->interrupt(); },
      &interrupt_);
}

Request::~Request() { invariant(handle_ == nullptr, "every request is answered"); }

fuse_req_t Request::finish() {
  state_.log.count(operation_);
  return let_go();
}

fuse_req_t Request::let_go() {
  invariant(handle_ != nullptr, "a request is answered once");
  // Once these have returned nobody touches interrupt_ any more.
  fuse_req_interrupt_func(handle_, nullptr, nullptr);
  state_.in_flight.remove(interrupt_);
  return std::exchange(handle_, nullptr);
}

// Nobody else reads from the kernel while a worker may not wait, so no
// interrupt has come for this request yet: none is lost with it.
void Request::put_off() {
  WorkerPool::put_off();
  running_.put_off();
  fuse_reply_none(let_go());
}

void Request::reply_error(const Error& error) {
  if (error.code == Errc::would_wait) return put_off();
  state_.log.failed(operation_, inode_, error);
  fuse_reply_err(finish(), to_errno(error.code));
}

void Request::reply(const Result<void>& result) {
  if (!result) return reply_error(result.error());
  fuse_reply_err(finish(), 0);
}

double Request::timeout_of(const Attributes& attributes) const {
  switch (state_.files.keep(attributes)) {
    case FileSystem::Keep::no: return 0;
    case FileSystem::Keep::for_a_while: return seconds(state_.config.attribute_timeout);
    case FileSystem::Keep::until_told: return kUntilTold;
  }
  return 0;
}

// A kernel that cannot be made to forget names asks each time, and is answered
// from what is known here.
double Request::timeout_of_name(InodeId parent, const std::string& name, InodeId inode) const {
  switch (state_.files.keep_name(parent, name, inode)) {
    case FileSystem::Keep::no: return 0;
    case FileSystem::Keep::for_a_while: return seconds(state_.config.entry_timeout);
    case FileSystem::Keep::until_told: return state_.forgets_names ? kUntilTold : 0;
  }
  return 0;
}

fuse_entry_param Request::entry_of(InodeId parent, const std::string& name,
                                   const Attributes& attributes) const {
  fuse_entry_param entry{};
  entry.ino = attributes.inode.value();
  entry.generation = attributes.generation;
  entry.attr = to_stat(attributes);
  entry.attr_timeout = timeout_of(attributes);
  entry.entry_timeout = timeout_of_name(parent, name, attributes.inode);
  return entry;
}

void Request::reply_lookup(InodeId parent, const char* name, const Result<Attributes>& result) {
  if (result || result.error().code != Errc::not_found) return reply_made(parent, name, result);
  const ReplyBarrier::Reply reply(files().replies());
  fuse_entry_param nothing{};
  nothing.entry_timeout = timeout_of_name(parent, name, InodeId{});
  if (nothing.entry_timeout == 0) return reply_error(result.error());
  fuse_reply_entry(finish(), &nothing);
}

void Request::reply_made(InodeId parent, const char* name, const Result<Attributes>& result) {
  if (!result) return reply_error(result.error());
  const ReplyBarrier::Reply reply(files().replies());
  const fuse_entry_param entry = entry_of(parent, name, *result);
  fuse_reply_entry(finish(), &entry);
}

void Request::reply_attributes(const Result<Attributes>& result) {
  if (!result) return reply_error(result.error());
  const ReplyBarrier::Reply reply(files().replies());
  const struct stat attributes = to_stat(*result);
  fuse_reply_attr(finish(), &attributes, timeout_of(*result));
}

void Request::reply_statx(const Result<Attributes>& result) {
  if (!result) return reply_error(result.error());
  const ReplyBarrier::Reply reply(files().replies());
  const double valid = timeout_of(*result);
  kernel::StatxOut answer{};
  answer.attr_valid = static_cast<std::uint64_t>(valid);
  answer.attr_valid_nsec =
      static_cast<std::uint32_t>((valid - static_cast<double>(answer.attr_valid)) * 1e9);
  answer.stat = to_statx(*result);
  reply_bytes({reinterpret_cast<const std::byte*>(&answer), sizeof answer});
}

void Request::reply_target(const Result<std::string>& result) {
  if (!result) return reply_error(result.error());
  fuse_reply_readlink(finish(), result->c_str());
}

void Request::reply_stat_fs(const Result<StatFsResult>& result) {
  if (!result) return reply_error(result.error());
  struct statvfs space {};
  space.f_bsize = kStatFsBlockBytes;
  space.f_frsize = kStatFsBlockBytes;
  space.f_blocks = result->bytes_total / kStatFsBlockBytes;
  space.f_bfree = result->bytes_available / kStatFsBlockBytes;
  space.f_bavail = space.f_bfree;
  space.f_files = result->inodes_used + kInodesAvailable;
  space.f_ffree = kInodesAvailable;
  space.f_favail = kInodesAvailable;
  space.f_namemax = kNameMax;
  fuse_reply_statfs(finish(), &space);
}

void Request::reply_bytes(BufferView bytes) {
  fuse_reply_buf(finish(), reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

void Request::reply_written(std::size_t bytes) { fuse_reply_write(finish(), bytes); }

void Request::reply_xattr_size(std::size_t bytes) { fuse_reply_xattr(finish(), bytes); }

void Request::reply_offset(std::uint64_t offset) {
  fuse_reply_lseek(finish(), static_cast<off_t>(offset));
}

void Request::reply_beyond_end() { fuse_reply_err(finish(), ENXIO); }

void Request::reply_lock(const struct flock& lock) { fuse_reply_lock(finish(), &lock); }

Request::Later Request::answer_later() { return {let_go(), state_, operation_, inode_}; }

// The function may be running while the request is answered by another thread:
// so it is given a number, not an address.
void Request::Later::on_interrupt(std::uint64_t number) {
  fuse_req_interrupt_func(
      handle_,
      [](fuse_req_t handle, void* data) {
        auto& state = *static_cast<SessionState*>(fuse_req_userdata(handle));
        state.lock_waits->interrupt(reinterpret_cast<std::uintptr_t>(data));
      },
      reinterpret_cast<void*>(static_cast<std::uintptr_t>(number)));
}

void Request::Later::send(const Result<void>& result) {
  state_->log.count(operation_);
  if (!result) state_->log.failed(operation_, inode_, result.error());
  fuse_reply_err(std::exchange(handle_, nullptr), result ? 0 : to_errno(result.error().code));
}

bool Request::reply_open(const fuse_file_info& file) {
  return fuse_reply_open(finish(), &file) == 0;
}

bool Request::reply_create(InodeId parent, const char* name, const Attributes& attributes,
                           const fuse_file_info& file) {
  const ReplyBarrier::Reply reply(files().replies());
  const fuse_entry_param entry = entry_of(parent, name, attributes);
  return fuse_reply_create(finish(), &entry, &file) == 0;
}

}  // namespace dfs::fuse
