// What every operation of a mount may touch. Internal to fuse/.
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "common/base/clock.h"
#include "common/client/file_system.h"
#include "fuse/adoption/mount_memory.h"
#include "fuse/directory_handle.h"
#include "fuse/handle_table.h"
#include "fuse/listing_fills.h"
#include "fuse/in_flight.h"
#include "fuse/kernel_abi.h"
#include "fuse/operation.h"
#include "fuse/session_config.h"
#include "fuse/set_id.h"

namespace dfs::fuse {

class LockWaits;

struct FileHandle {
  OpenFilePtr file;
  SetIdMemory set_id;
  bool syncs_changes = false;  // opened with O_SYNC or O_DSYNC
};

struct SessionState {
  SessionState(const SessionConfig& session_config, FileSystem& file_system, const Clock& steady,
               MountMemory& mount_memory)
      : config(session_config),
        files(file_system),
        clock(steady),
        memory(mount_memory),
        open_files(mount_memory.handles()),
        open_directories(mount_memory.handles()),
        log(steady) {}

  const SessionConfig config;
  FileSystem& files;
  const Clock& clock;
  MountMemory& memory;

  HandleTable<FileHandle> open_files;
  HandleTable<DirectoryHandle> open_directories;
  ListingFills listing_fills;
  InFlight in_flight;
  std::shared_ptr<LockWaits> lock_waits;  // shared with answers that come late
  std::function<void(InodeId)> forget_attributes;  // has the kernel ask for them again, soon
  OperationLog log;
  ModeChanges mode_changes;
  // What FUSE_INIT agreed on; set before any other request comes, 0 until then.
  std::atomic<std::uint64_t> agreed_flags{0};
  // The kernel can be made to forget names without a wait (protocol 7.44).
  std::atomic<bool> forgets_names{false};
  bool has_access_control_lists() const { return (agreed_flags & FUSE_POSIX_ACL) != 0; }
  // Grows with every change made through this mount, after it was made and
  // before the program learns of it. A listing fetched before is not given out.
  std::atomic<std::uint64_t> changes{0};
};

}  // namespace dfs::fuse
