#include "fuse/device_cache.h"

#include "fuse/notification.h"

namespace dfs::fuse {

void DeviceCache::forget_attributes(InodeId inode) { notify_attributes(device_.get(), inode); }

void DeviceCache::forget_names() {
  if (has_epochs_) notify_all_names(device_.get());
}

void DeviceCache::forget_pages(InodeId inode, const FileRange& range) {
  notify_pages(device_.get(), inode, range.offset, range.length);
}

void DeviceCache::store(InodeId inode, std::uint64_t offset, BufferView bytes) {
  notify_store(device_.get(), inode, offset, bytes);
}

}  // namespace dfs::fuse
