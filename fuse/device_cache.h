// The kernel's memory of one mount, as the engine sees it (common/client/kernel_cache.h).
//
// Threads: any that serve no requests.
#pragma once

#include "common/base/unique_fd.h"
#include "common/client/kernel_cache.h"

namespace dfs::fuse {

class DeviceCache final : public KernelCache {
 public:
  // `device`: /dev/fuse of the mount, for this alone. `has_epochs`: the kernel takes
  // notify_all_names(); otherwise it is never told to keep names.
  DeviceCache(UniqueFd device, bool has_epochs)
      : device_(std::move(device)), has_epochs_(has_epochs) {}

  void forget_attributes(InodeId inode) override;
  void forget_names() override;
  void forget_pages(InodeId inode, const FileRange& range) override;
  void store(InodeId inode, std::uint64_t offset, BufferView bytes) override;

 private:
  const UniqueFd device_;
  const bool has_epochs_;
};

}  // namespace dfs::fuse
