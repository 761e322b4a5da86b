// What the client engine may use and how it behaves.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "common/base/ids.h"
#include "common/base/result.h"

namespace dfs {

struct ClientConfig {
  // Bytes written and not yet acknowledged by the servers. When it is full,
  // writers wait.
  std::size_t write_buffer_bytes = 256 * MiB;
  // Bytes read and kept, read-ahead included.
  std::size_t read_cache_bytes = 512 * MiB;
  // The most that is fetched ahead of one sequential reader.
  std::size_t read_ahead_bytes_max = 32 * MiB;
  // Chunks in flight to the servers at once.
  std::size_t uploads_max = 8;
  // Nothing written stays unsent longer than this unless the servers are away.
  std::chrono::milliseconds flush_interval{1000};
  // How long attributes learnt from the server answer without asking again.
  std::chrono::milliseconds attribute_timeout{1000};
  // The session may have leases: what it was told stays true until it is asked for
  // (FileSystem::lease_hooks). Else, and where an inode is not strict, it is used
  // for `attribute_timeout`, or `relaxed_timeout` if the inode is relaxed.
  bool leases = false;
  std::chrono::milliseconds relaxed_timeout{10'000};
  // Names and entries of listings kept under leases: about 100 and 200 bytes each.
  std::size_t names_max = 200'000;
  std::size_t listed_entries_max = 200'000;
  // Closing a file waits until the servers have what was written, also where
  // nobody could miss it: under a lease. Without, the death of this process takes
  // what was closed within the last `flush_interval`.
  bool close_waits = false;
  // Inodes kept with their attributes and extents when nobody has them open.
  std::size_t inodes_max = 200'000;
  // Reading moves access times, as with relatime; of directories too.
  bool access_times = false;
  bool directory_access_times = true;
  // How long they wait for others to be sent with them. A crash takes as much.
  std::chrono::milliseconds access_time_interval{1000};
  // Inodes removed here whose attributes are kept for programs that still use
  // them: about 2 MB. Far more than have one open; `rm -r` pushes them through.
  std::size_t removed_inodes_max = 8192;
  // How long statfs waits for a metadata server that has answered it before;
  // then it tells that again. umount(8) asks, and needs no server for the rest.
  std::chrono::milliseconds stat_fs_timeout{1000};
  // 0: calls wait for the servers for ever (hard mount). Otherwise they fail
  // with `timed_out` after this long (soft mount).
  std::chrono::milliseconds soft_timeout{0};
  // A range that no replica could deliver is tried again for this long on a
  // soft mount and for ever on a hard one, unless every replica answered that
  // it does not have it.
  std::chrono::milliseconds retry_pause_max{1000};

  Result<void> validate() const;
};

}  // namespace dfs
