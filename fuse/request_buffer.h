// Room for one request of the kernel, used again for the next.
//
// The data of a write starts on a page, behind header and arguments. The same
// pages take what a read returns: a read request is no longer than its header
// and arguments, so nothing of it lies there.
#pragma once

#include <sys/mman.h>

#include <cstddef>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "fuse/kernel_abi.h"
#include "fuse/session_config.h"

namespace dfs::fuse {

class RequestBuffer {
 public:
  RequestBuffer() {
    void* memory = ::mmap(nullptr, kPageBytes + kRequestBytesMax, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    invariant(memory != MAP_FAILED, "there is memory for a request");
    memory_ = static_cast<std::byte*>(memory);
  }
  ~RequestBuffer() { ::munmap(memory_, kPageBytes + kRequestBytesMax); }
  RequestBuffer(const RequestBuffer&) = delete;
  RequestBuffer& operator=(const RequestBuffer&) = delete;

  // Where a request is read to.
  MutableBuffer request() { return {memory_ + kFront, kPageBytes - kFront + kRequestBytesMax}; }
  // Where the answer to a read is put.
  MutableBuffer payload() { return {memory_ + kPageBytes, kRequestBytesMax}; }

 private:
  static constexpr std::size_t kPageBytes = 4096;
  static constexpr std::size_t kFront =
      kPageBytes - sizeof(fuse_in_header) - sizeof(fuse_write_in);

  std::byte* memory_;
};

}  // namespace dfs::fuse
