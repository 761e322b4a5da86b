#include "server/meta/core/disk_room.h"

#include <algorithm>
#include <utility>

#include "common/base/config_file.h"
#include "common/base/log.h"

namespace dfs {
namespace {

constexpr std::uint64_t kBytesUnasked = 1 * MiB;

}  // namespace

DiskRoom::DiskRoom(const KvStore& store, std::uint64_t reserved_bytes)
    : store_(store),
      reserved_bytes_(reserved_bytes),
      gauge_(metrics().gauge("dfs_meta_room_bytes",
                             "What the namespace may take of the disk before it is refused.")) {
  refresh();
}

Result<void> DiskRoom::check() {
  if (written_ >= std::min(room_, kBytesUnasked)) refresh();
  if (room_ > 0) return {};
  return fail(Errc::no_space, "the metadata server's disk is full up to its reserve");
}

void DiskRoom::refresh() {
  const std::uint64_t free = store_.free_bytes();
  room_ = free - std::min(free, reserved_bytes_);
  written_ = 0;
  gauge_.set(static_cast<double>(room_));
  const bool full = room_ == 0;
  if (std::exchange(told_, full) == full) return;
  if (full) {
    log_warn("core", "the disk is full but for {} that are kept for what frees space: nothing new is taken",
             format_size(free));
  } else {
    log_info("core", "there is room on the disk again: {}", format_size(room_));
  }
}

}  // namespace dfs
