#include "common/client/memory_region.h"

#include <sys/mman.h>

#include "common/base/result.h"

namespace dfs {

MemoryRegion::MemoryRegion(std::size_t bytes) : bytes_(bytes) {
  void* mapped = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  invariant(mapped != MAP_FAILED, "there is address space for the client's buffers");
  data_ = static_cast<std::byte*>(mapped);
  // Only advice: without huge pages the region works the same.
  static_cast<void>(::madvise(mapped, bytes_, MADV_HUGEPAGE));
}

MemoryRegion::~MemoryRegion() { ::munmap(data_, bytes_); }

}  // namespace dfs
