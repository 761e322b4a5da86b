#include "fuse/operations.h"

namespace dfs::fuse {

void reopen_all(SessionState& state) {
  for (const HandleRecord& record : state.memory.handles().former()) {
    if (record.kind == HandleRecord::directory) {
      reopen_directory(state, record);
    } else {
      reopen_file(state, record);
    }
  }
}

fuse_lowlevel_ops operations() {
  fuse_lowlevel_ops table{};
  table.lookup = do_lookup;
  table.mknod = do_mknod;
  table.mkdir = do_mkdir;
  table.symlink = do_symlink;
  table.readlink = do_readlink;
  table.link = do_link;
  table.unlink = do_unlink;
  table.rmdir = do_rmdir;
  table.rename = do_rename;

  table.getattr = do_getattr;
  table.setattr = do_setattr;
  table.statfs = do_statfs;

  table.open = do_open;
  table.create = do_create;
  table.read = do_read;
  table.write = do_write;
  table.flush = do_flush;
  table.fsync = do_fsync;
  table.release = do_release;
  table.fallocate = do_fallocate;
  table.lseek = do_lseek;
  table.copy_file_range = do_copy_file_range;

  table.getlk = do_getlk;
  table.setlk = do_setlk;
  table.flock = do_flock;

  table.opendir = do_opendir;
  table.readdir = do_readdir;
  table.readdirplus = do_readdirplus;
  table.releasedir = do_releasedir;
  table.fsyncdir = do_fsyncdir;

  table.setxattr = do_setxattr;
  table.getxattr = do_getxattr;
  table.listxattr = do_listxattr;
  table.removexattr = do_removexattr;
  return table;
}

}  // namespace dfs::fuse
