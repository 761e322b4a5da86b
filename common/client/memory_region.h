// A large piece of memory from the kernel, backed when first touched, in huge
// pages where there are any.
#pragma once

#include <cstddef>

namespace dfs {

// Threads: any. Stops the process if the address space is exhausted.
class MemoryRegion {
 public:
  explicit MemoryRegion(std::size_t bytes);
  ~MemoryRegion();
  MemoryRegion(const MemoryRegion&) = delete;
  MemoryRegion& operator=(const MemoryRegion&) = delete;

  std::byte* data() const { return data_; }
  std::size_t size() const { return bytes_; }

 private:
  std::size_t bytes_;
  std::byte* data_;
};

}  // namespace dfs
