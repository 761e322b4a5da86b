// The machine's file systems as a Disk. Threads: any.
#pragma once

#include "server/storage/disk.h"

namespace dfs::storage {

class PosixDisk final : public Disk {
 public:
  Result<std::shared_ptr<DiskFile>> open(const std::filesystem::path& path) override;
  Result<std::shared_ptr<DiskFile>> create(const std::filesystem::path& path) override;
  Result<void> remove(const std::filesystem::path& path) override;
  Result<void> rename(const std::filesystem::path& from, const std::filesystem::path& to) override;
  Result<void> make_directory(const std::filesystem::path& path) override;
  Result<std::vector<std::string>> list(const std::filesystem::path& directory) override;
  Result<void> sync_directory(const std::filesystem::path& directory) override;
  Result<DiskSpace> space(const std::filesystem::path& directory) override;
};

}  // namespace dfs::storage
