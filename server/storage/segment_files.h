// The segment files of one store by number, with a bounded number of them
// open at once. When the process is out of descriptors (`overloaded`) half of
// them are closed, and what was asked for is tried once more.
//
// Threads: any. A file stays usable by who holds it after it was forgotten.
#pragma once

#include <cstdint>
#include <filesystem>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "common/base/result.h"
#include "server/storage/disk.h"

namespace dfs::storage {

// "0000000012.segment" <-> 12
std::string segment_file_name(std::uint32_t number);
std::optional<std::uint32_t> parse_segment_file_name(std::string_view name);

class SegmentFiles {
 public:
  // `disk` must outlive this.
  SegmentFiles(Disk& disk, std::filesystem::path directory, std::size_t open_max);

  std::filesystem::path path(std::uint32_t number) const;
  Result<std::shared_ptr<DiskFile>> open(std::uint32_t number);
  // A new file whose name is on stable media when this returns. On error there
  // is none.
  Result<std::shared_ptr<DiskFile>> create(std::uint32_t number);
  Result<void> remove(std::uint32_t number);
  std::size_t open_count() const;

 private:
  struct Open {
    std::uint32_t number;
    std::shared_ptr<DiskFile> file;
  };
  void remember(std::uint32_t number, std::shared_ptr<DiskFile> file);
  void close_half();

  Disk& disk_;
  const std::filesystem::path directory_;
  const std::size_t open_max_;
  mutable std::mutex mutex_;
  std::list<Open> recent_;  // the one used last first
  std::unordered_map<std::uint32_t, std::list<Open>::iterator> by_number_;
};

}  // namespace dfs::storage
