// Advisory locks: fcntl(2), of processes and of open file descriptions, and flock(2).
//
// A request that has to wait is left to LockWaits and keeps no thread. POSIX
// locks end with the flush of their owner (contents.cc), those of open files
// with the release.
#include <fcntl.h>
#include <sys/file.h>

#include "fuse/lock_waits.h"
#include "fuse/operations.h"

namespace dfs::fuse {
namespace {

enum class Patience { none, waits };

LockKind to_kind(short type) {
  switch (type) {
    case F_RDLCK: return LockKind::shared;
    case F_WRLCK: return LockKind::exclusive;
    default: return LockKind::unlocked;
  }
}

short to_type(LockKind kind) {
  switch (kind) {
    case LockKind::shared: return F_RDLCK;
    case LockKind::exclusive: return F_WRLCK;
    case LockKind::unlocked: break;
  }
  return F_UNLCK;
}

// libfuse gives ranges from the start of the file; a length of 0 reaches to the end.
FileLock to_lock(const fuse_file_info& info, const struct flock& range) {
  FileLock lock;
  lock.family = LockFamily::posix;
  lock.kind = to_kind(range.l_type);
  lock.owner = info.lock_owner;
  lock.start = static_cast<std::uint64_t>(range.l_start);
  lock.end = range.l_len == 0 ? kLockEndMax
                              : lock.start + static_cast<std::uint64_t>(range.l_len);
  lock.process = static_cast<std::uint32_t>(range.l_pid);
  return lock;
}

struct flock to_range(const FileLock& lock) {
  struct flock range {};
  range.l_type = to_type(lock.kind);
  range.l_whence = SEEK_SET;
  range.l_start = static_cast<off_t>(lock.start);
  range.l_len = lock.end == kLockEndMax ? 0 : static_cast<off_t>(lock.end - lock.start);
  range.l_pid = static_cast<pid_t>(lock.process);
  return range;
}

void set_lock(Request& request, const OpenFilePtr& file, const FileLock& lock, Patience patience) {
  const Result<Locked> locked = request.files().set_lock(*file, lock, request.context());
  if (locked && locked->keep_cache) return request.reply({});
  const bool waits =
      !locked && locked.error().code == Errc::again && patience == Patience::waits;
  if (!locked && !waits) return request.reply_error(locked.error());

  FileSystem& files = request.files();
  // Of which no mutation comes.
  const Caller caller{request.context().caller.uid, request.context().caller.gid};
  const std::shared_ptr<LockWaits> late = request.state().lock_waits;
  const LockWaits::Number number = late->add(request);
  if (locked) return late->settle(number, locked);
  late->waits(number, files.wait_for_lock(file, lock, caller, [late, number](Result<Locked> result) {
    late->settle(number, result);
  }));
}

const OpenFilePtr& file_of(const Request& request, const fuse_file_info& info) {
  return request.state().open_files.get(info.fh).file;
}

// The next process is to know which file ends the lock when it is closed. Before it
// is asked for.
void note_owner(const Request& request, const fuse_file_info& info, const FileLock& lock) {
  HandleRecord* const record = request.state().memory.handles().find(info.fh);
  if (record == nullptr || lock.kind == LockKind::unlocked) return;
  (lock.family == LockFamily::posix ? record->posix_owner : record->flock_owner) = lock.owner + 1;
}

}  // namespace

void do_getlk(fuse_req_t handle, fuse_ino_t inode, fuse_file_info* info, struct flock* range) {
  Request request(handle, Operation::getlk, InodeId{inode});
  const auto found =
      request.files().get_lock(*file_of(request, *info), to_lock(*info, *range), request.context());
  if (!found) return request.reply_error(found.error());
  struct flock answer {};
  answer.l_type = F_UNLCK;
  if (*found) answer = to_range(**found);
  request.reply_lock(answer);
}

void do_setlk(fuse_req_t handle, fuse_ino_t inode, fuse_file_info* info, struct flock* range,
              int sleeps) {
  Request request(handle, Operation::setlk, InodeId{inode});
  const FileLock lock = to_lock(*info, *range);
  note_owner(request, *info, lock);
  set_lock(request, file_of(request, *info), lock,
           sleeps != 0 ? Patience::waits : Patience::none);
}

void do_flock(fuse_req_t handle, fuse_ino_t inode, fuse_file_info* info, int operation) {
  Request request(handle, Operation::flock, InodeId{inode});
  FileLock lock;
  lock.family = LockFamily::flock;
  lock.owner = info->lock_owner;
  lock.process = static_cast<std::uint32_t>(fuse_req_ctx(handle)->pid);
  const bool waits = (operation & LOCK_NB) == 0;
  switch (operation & ~LOCK_NB) {
    case LOCK_SH: lock.kind = LockKind::shared; break;
    case LOCK_EX: lock.kind = LockKind::exclusive; break;
    default: lock.kind = LockKind::unlocked; break;
  }
  note_owner(request, *info, lock);
  set_lock(request, file_of(request, *info), lock, waits ? Patience::waits : Patience::none);
}

}  // namespace dfs::fuse
