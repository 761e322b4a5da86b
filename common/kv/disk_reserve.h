// A part of a disk that stays free, so that a database which has run out of
// room can still put in order what it has accepted.
//
// Threads: any.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>

#include "common/base/result.h"

namespace dfs {

class DiskReserve {
 public:
  struct Space {
    std::uint64_t total_bytes = 0;
    std::uint64_t free_bytes = 0;
  };
  using Probe = std::function<Result<Space>()>;
  // Asks the kernel about the disk that `directory` is on.
  static Probe disk_of(std::filesystem::path directory);

  // Keeps `reserved_bytes`, but never more than a sixteenth of the disk.
  DiskReserve(Probe probe, std::uint64_t reserved_bytes)
      : probe_(std::move(probe)), reserved_bytes_(reserved_bytes) {}

  // To be called before `bytes` are written. Asks the disk only every few
  // megabytes while there is room, and each time when there is none.
  //   no_space  only the reserve is left
  Result<void> admit(std::uint64_t bytes);

  // What may be written before admit() refuses.
  Result<std::uint64_t> room() const;

 private:
  const Probe probe_;
  const std::uint64_t reserved_bytes_;
  std::atomic<std::int64_t> admitted_ahead_{0};  // may be written without asking
};

}  // namespace dfs
