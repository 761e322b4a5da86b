#include <sys/stat.h>

#include "fuse/operations.h"
#include "fuse/request_hints.h"

namespace dfs::fuse {
namespace {

constexpr std::uint32_t kPermissionBits = 07777;

WallNanos to_nanos(const timespec& time) {
  return WallNanos{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

SetAttrArgs to_args(InodeId inode, const struct stat& wanted, int to_set) {
  SetAttrArgs args;
  args.inode = inode;
  if (to_set & FUSE_SET_ATTR_MODE) args.mode = wanted.st_mode & kPermissionBits;
  if (to_set & FUSE_SET_ATTR_UID) args.uid = wanted.st_uid;
  if (to_set & FUSE_SET_ATTR_GID) args.gid = wanted.st_gid;
  if (to_set & FUSE_SET_ATTR_SIZE) args.size = static_cast<std::uint64_t>(wanted.st_size);
  // "Now" is the servers' now: clocks of several machines never agree.
  if (to_set & FUSE_SET_ATTR_ATIME_NOW) {
    args.atime_now = true;
  } else if (to_set & FUSE_SET_ATTR_ATIME) {
    args.atime = to_nanos(wanted.st_atim);
  }
  if (to_set & FUSE_SET_ATTR_MTIME_NOW) {
    args.mtime_now = true;
  } else if (to_set & FUSE_SET_ATTR_MTIME) {
    args.mtime = to_nanos(wanted.st_mtim);
  }
  if (to_set & FUSE_SET_ATTR_CTIME) args.ctime = to_nanos(wanted.st_ctim);
  // The kernel's FATTR_KILL_SUIDGID: this chown or truncation drops set-id bits.
  args.clear_set_id = (to_set & FUSE_SET_ATTR_KILL_SUID) != 0;
  return args;
}

// Linux asks for a change of nothing where privileges go and leaves it to us
// which: for a chown to nobody else, which only owner and root may do to a file
// that has any, and once more before a write that is marked as well.
Result<Attributes> change_nothing(Request& request, SetAttrArgs args) {
  const CallContext& context = request.context();
  const Attributes present = TRY(request.files().get_attributes(args.inode, context));
  const bool may = context.caller.uid == 0 || context.caller.uid == present.uid;
  args.clear_set_id = may && present.type != FileType::directory;
  return request.files().set_attributes(args, context);
}

}  // namespace

void do_getattr(fuse_req_t handle, fuse_ino_t inode, fuse_file_info*) {
  Request request(handle, Operation::getattr, InodeId{inode});
  const auto attributes = request.files().get_attributes(InodeId{inode}, request.context());
  if (current_hints().statx) return request.reply_statx(attributes);
  request.reply_attributes(attributes);
}

void do_setattr(fuse_req_t handle, fuse_ino_t inode, struct stat* wanted, int to_set,
                fuse_file_info*) {
  Request request(handle, Operation::setattr, InodeId{inode});
  const SetAttrArgs args = to_args(InodeId{inode}, *wanted, to_set);
  const auto attributes = to_set == 0 ? change_nothing(request, args)
                                      : request.files().set_attributes(args, request.context());
  if (args.mode) request.state().mode_changes.changed();
  request.changed();
  request.reply_attributes(attributes);
}

void do_statfs(fuse_req_t handle, fuse_ino_t inode) {
  Request request(handle, Operation::statfs, InodeId{inode});
  request.reply_stat_fs(request.files().stat_fs(request.context()));
}

}  // namespace dfs::fuse
