#include "server/storage/space_guard.h"

#include <algorithm>
#include <string>

#include "common/base/ids.h"

namespace dfs::storage {
namespace {

// Somebody else may be filling the disk too: ask again after this much.
constexpr std::int64_t kRefreshBytes = 64 * MiB;

}  // namespace

std::uint64_t default_reserve(const DiskSpace& space) {
  return std::max<std::uint64_t>(256 * MiB, std::min<std::uint64_t>(space.total / 20, 10 * GiB));
}

SpaceGuard::SpaceGuard(Disk& disk, std::filesystem::path directory, std::uint64_t reserved_bytes)
    : disk_(disk), directory_(std::move(directory)), reserved_bytes_(reserved_bytes) {}

Result<void> SpaceGuard::admit(std::uint64_t bytes) {
  const auto wanted = static_cast<std::int64_t>(bytes);
  const std::int64_t admitted = admitted_ += wanted;
  if (admitted > kRefreshBytes || admitted > budget_) {
    TRY(refresh());
    if ((admitted_ += wanted) > budget_) {
      admitted_ -= wanted;
      return fail(Errc::no_space, directory_.string() + " is full up to its reserve");
    }
  }
  unwritten_ += wanted;
  return {};
}

Result<void> SpaceGuard::admit_copy(std::uint64_t bytes) {
  const DiskSpace now = TRY(disk_.space(directory_));
  const std::uint64_t reserve = reserved_bytes_ > 0 ? reserved_bytes_ : default_reserve(now);
  const auto unwritten = static_cast<std::uint64_t>(std::max<std::int64_t>(0, unwritten_));
  if (now.available < bytes + unwritten + reserve / 2)
    return fail(Errc::no_space, directory_.string() + " has no room for copies");
  unwritten_ += static_cast<std::int64_t>(bytes);
  return {};
}

Result<void> SpaceGuard::refresh() {
  const DiskSpace now = TRY(space());
  budget_ = static_cast<std::int64_t>(now.available) - std::max<std::int64_t>(0, unwritten_);
  admitted_ = 0;
  return {};
}

Result<DiskSpace> SpaceGuard::space() const {
  DiskSpace space = TRY(disk_.space(directory_));
  const std::uint64_t reserve = reserved_bytes_ > 0 ? reserved_bytes_ : default_reserve(space);
  space.available -= std::min(space.available, reserve);
  return space;
}

}  // namespace dfs::storage
