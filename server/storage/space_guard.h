// Keeps clients out of the reserve of a disk.
//
// Asking the file system at each put would cost as much as a small put, so
// the answer is kept and what was admitted since is subtracted from it.
//
// Threads: any.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>

#include "common/base/guarded.h"
#include "common/base/result.h"
#include "server/storage/disk.h"

namespace dfs::storage {

// The smaller of 5 % of the disk and 10 GiB, but at least 256 MiB.
std::uint64_t default_reserve(const DiskSpace& space);

class SpaceGuard {
 public:
  // `disk` must outlive this. A `reserved_bytes` of 0 means default_reserve().
  SpaceGuard(Disk& disk, std::filesystem::path directory, std::uint64_t reserved_bytes);

  // Takes `bytes` of what clients may fill; `no_space` if they are not there.
  // They count as used until written() tells that the file system knows.
  Result<void> admit(std::uint64_t bytes);
  // The same for copies that repair makes: half of the reserve is for them.
  Result<void> admit_copy(std::uint64_t bytes);
  void written(std::uint64_t bytes) { unwritten_ -= static_cast<std::int64_t>(bytes); }

  // `available` is what clients may still fill.
  Result<DiskSpace> space() const;

 private:
  Result<void> refresh();

  Disk& disk_;
  const std::filesystem::path directory_;
  const std::uint64_t reserved_bytes_;
  std::atomic<std::int64_t> budget_{0};      // since the last refresh
  std::atomic<std::int64_t> admitted_{0};    // since the last refresh
  std::atomic<std::int64_t> unwritten_{0};
};

}  // namespace dfs::storage
