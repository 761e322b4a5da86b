#include <sys/stat.h>

#include "fuse/operations.h"

namespace dfs::fuse {
namespace {

constexpr std::uint32_t kPermissionBits = 07777;

// rename2(2)'s flags; <stdio.h> and <linux/fs.h> do not go together.
constexpr unsigned kRenameNoReplace = 1;
constexpr unsigned kRenameExchange = 2;

Result<FileType> file_type_of(mode_t mode) {
  switch (mode & S_IFMT) {
    case 0:
    case S_IFREG: return FileType::regular;
    case S_IFDIR: return FileType::directory;
    case S_IFIFO: return FileType::fifo;
    case S_IFSOCK: return FileType::socket;
    case S_IFCHR: return FileType::character_device;
    case S_IFBLK: return FileType::block_device;
    default: return fail(Errc::invalid, "no such kind of file");
  }
}

void make(Request& request, InodeId parent, const char* name, mode_t mode, dev_t rdev) {
  const Result<FileType> type = file_type_of(mode);
  if (!type) return request.reply_error(type.error());
  const auto made = request.files().make_node(parent, name, *type, mode & kPermissionBits, rdev,
                                              request.context());
  request.changed();
  request.reply_made(parent, name, made);
}

}  // namespace

void do_lookup(fuse_req_t handle, fuse_ino_t parent, const char* name) {
  Request request(handle, Operation::lookup, InodeId{parent});
  request.reply_lookup(InodeId{parent}, name,
                       request.files().lookup(InodeId{parent}, name, request.context()));
}

void do_mknod(fuse_req_t handle, fuse_ino_t parent, const char* name, mode_t mode, dev_t rdev) {
  Request request(handle, Operation::mknod, InodeId{parent});
  make(request, InodeId{parent}, name, mode, rdev);
}

void do_mkdir(fuse_req_t handle, fuse_ino_t parent, const char* name, mode_t mode) {
  Request request(handle, Operation::mkdir, InodeId{parent});
  make(request, InodeId{parent}, name, S_IFDIR | (mode & kPermissionBits), 0);
}

void do_symlink(fuse_req_t handle, const char* target, fuse_ino_t parent, const char* name) {
  Request request(handle, Operation::symlink, InodeId{parent});
  const auto made =
      request.files().make_symlink(InodeId{parent}, name, target, request.context());
  request.changed();
  request.reply_made(InodeId{parent}, name, made);
}

void do_readlink(fuse_req_t handle, fuse_ino_t inode) {
  Request request(handle, Operation::readlink, InodeId{inode});
  request.reply_target(request.files().read_symlink(InodeId{inode}, request.context()));
}

void do_link(fuse_req_t handle, fuse_ino_t inode, fuse_ino_t new_parent, const char* new_name) {
  Request request(handle, Operation::link, InodeId{inode});
  const auto linked = request.files().link(InodeId{inode}, InodeId{new_parent}, new_name,
                                           request.context());
  request.changed();
  request.reply_made(InodeId{new_parent}, new_name, linked);
}

void do_unlink(fuse_req_t handle, fuse_ino_t parent, const char* name) {
  Request request(handle, Operation::unlink, InodeId{parent});
  const auto unlinked = request.files().unlink(InodeId{parent}, name, request.context());
  request.changed();
  request.reply(unlinked);
}

void do_rmdir(fuse_req_t handle, fuse_ino_t parent, const char* name) {
  Request request(handle, Operation::rmdir, InodeId{parent});
  const auto removed = request.files().remove_directory(InodeId{parent}, name, request.context());
  request.changed();
  request.reply(removed);
}

void do_rename(fuse_req_t handle, fuse_ino_t parent, const char* name, fuse_ino_t new_parent,
               const char* new_name, unsigned flags) {
  Request request(handle, Operation::rename, InodeId{parent});
  if ((flags & ~(kRenameNoReplace | kRenameExchange)) != 0) {
    return request.reply_error({Errc::invalid, "a rename flag that is not known"});
  }
  RenameArgs args;
  args.parent = InodeId{parent};
  args.name = name;
  args.new_parent = InodeId{new_parent};
  args.new_name = new_name;
  args.no_replace = (flags & kRenameNoReplace) != 0;
  args.exchange = (flags & kRenameExchange) != 0;
  const auto renamed = request.files().rename(args, request.context());
  request.changed();
  request.reply(renamed);
}

}  // namespace dfs::fuse
