#include "common/kv/disk_reserve.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "common/base/config_file.h"
#include "common/base/ids.h"

namespace dfs {
namespace {

constexpr std::uint64_t kAdmittedAheadMax = 4 * MiB;
constexpr std::uint64_t kPartOfDisk = 16;

}  // namespace

DiskReserve::Probe DiskReserve::disk_of(std::filesystem::path directory) {
  return [directory = std::move(directory)]() -> Result<Space> {
    struct statvfs facts {};
    if (::statvfs(directory.c_str(), &facts) != 0)
      return fail_errno(errno, "asking for the free space of " + directory.string());
    return Space{.total_bytes = facts.f_blocks * facts.f_frsize, .free_bytes = facts.f_bavail * facts.f_frsize};
  };
}

Result<std::uint64_t> DiskReserve::room() const {
  const Space space = TRY(probe_());
  const std::uint64_t kept = std::min(reserved_bytes_, space.total_bytes / kPartOfDisk);
  return space.free_bytes > kept ? space.free_bytes - kept : 0;
}

Result<void> DiskReserve::admit(std::uint64_t bytes) {
  const auto wanted = static_cast<std::int64_t>(bytes);
  if (admitted_ahead_.fetch_sub(wanted, std::memory_order_relaxed) >= wanted) return {};
  const std::uint64_t left = TRY(room());
  admitted_ahead_.store(0, std::memory_order_relaxed);
  if (left < bytes)
    return fail(Errc::no_space, "the disk is full up to the " + format_size(reserved_bytes_) + " kept for repair");
  admitted_ahead_.store(static_cast<std::int64_t>(std::min(left - bytes, kAdmittedAheadMax)),
                        std::memory_order_relaxed);
  return {};
}

}  // namespace dfs
