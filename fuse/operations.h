// The file system's operations as libfuse calls them: one file per family.
//
// A function here unpacks, calls the engine, answers. libfuse gives it the
// request, whose user data is a SessionState.
#pragma once

#include "fuse/request.h"

namespace dfs::fuse {

// names.cc
void do_lookup(fuse_req_t handle, fuse_ino_t parent, const char* name);
void do_mknod(fuse_req_t handle, fuse_ino_t parent, const char* name, mode_t mode, dev_t rdev);
void do_mkdir(fuse_req_t handle, fuse_ino_t parent, const char* name, mode_t mode);
void do_symlink(fuse_req_t handle, const char* target, fuse_ino_t parent, const char* name);
void do_readlink(fuse_req_t handle, fuse_ino_t inode);
void do_link(fuse_req_t handle, fuse_ino_t inode, fuse_ino_t new_parent, const char* new_name);
void do_unlink(fuse_req_t handle, fuse_ino_t parent, const char* name);
void do_rmdir(fuse_req_t handle, fuse_ino_t parent, const char* name);
void do_rename(fuse_req_t handle, fuse_ino_t parent, const char* name, fuse_ino_t new_parent,
               const char* new_name, unsigned flags);

// attributes.cc
void do_getattr(fuse_req_t handle, fuse_ino_t inode, fuse_file_info* info);
void do_setattr(fuse_req_t handle, fuse_ino_t inode, struct stat* wanted, int to_set,
                fuse_file_info* info);
void do_statfs(fuse_req_t handle, fuse_ino_t inode);

// contents.cc
void do_open(fuse_req_t handle, fuse_ino_t inode, fuse_file_info* info);
void do_create(fuse_req_t handle, fuse_ino_t parent, const char* name, mode_t mode,
               fuse_file_info* info);
void do_read(fuse_req_t handle, fuse_ino_t inode, std::size_t size, off_t offset,
             fuse_file_info* info);
void do_write(fuse_req_t handle, fuse_ino_t inode, const char* data, std::size_t size,
              off_t offset, fuse_file_info* info);
void do_flush(fuse_req_t handle, fuse_ino_t inode, fuse_file_info* info);
void do_fsync(fuse_req_t handle, fuse_ino_t inode, int data_only, fuse_file_info* info);
void do_release(fuse_req_t handle, fuse_ino_t inode, fuse_file_info* info);
void do_fallocate(fuse_req_t handle, fuse_ino_t inode, int mode, off_t offset, off_t length,
                  fuse_file_info* info);
void do_lseek(fuse_req_t handle, fuse_ino_t inode, off_t offset, int whence,
              fuse_file_info* info);
void do_copy_file_range(fuse_req_t handle, fuse_ino_t from, off_t from_offset,
                        fuse_file_info* from_info, fuse_ino_t to, off_t to_offset,
                        fuse_file_info* to_info, std::size_t length, int flags);

// locks.cc
void do_getlk(fuse_req_t handle, fuse_ino_t inode, fuse_file_info* info, struct flock* range);
void do_setlk(fuse_req_t handle, fuse_ino_t inode, fuse_file_info* info, struct flock* range,
              int sleeps);
void do_flock(fuse_req_t handle, fuse_ino_t inode, fuse_file_info* info, int operation);

// directories.cc
void do_opendir(fuse_req_t handle, fuse_ino_t inode, fuse_file_info* info);
void do_readdir(fuse_req_t handle, fuse_ino_t inode, std::size_t size, off_t offset,
                fuse_file_info* info);
void do_readdirplus(fuse_req_t handle, fuse_ino_t inode, std::size_t size, off_t offset,
                    fuse_file_info* info);
void do_releasedir(fuse_req_t handle, fuse_ino_t inode, fuse_file_info* info);
void do_fsyncdir(fuse_req_t handle, fuse_ino_t inode, int data_only, fuse_file_info* info);

// xattrs.cc
void do_setxattr(fuse_req_t handle, fuse_ino_t inode, const char* name, const char* value,
                 std::size_t size, int flags);
void do_getxattr(fuse_req_t handle, fuse_ino_t inode, const char* name, std::size_t size);
void do_listxattr(fuse_req_t handle, fuse_ino_t inode, std::size_t size);
void do_removexattr(fuse_req_t handle, fuse_ino_t inode, const char* name);

// contents.cc, directories.cc: what the kernel had open with a former process.
void reopen_all(SessionState& state);
void reopen_file(SessionState& state, const HandleRecord& record);
void reopen_directory(SessionState& state, const HandleRecord& record);

// operations.cc: all of them, for libfuse. What is missing is answered ENOSYS,
// which the kernel remembers: access (it checks permissions itself), poll,
// ioctl, bmap.
fuse_lowlevel_ops operations();

}  // namespace dfs::fuse
