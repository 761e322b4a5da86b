// What a kernel keeps of what it was told, and how it is made to forget.
//
// Implemented where the kernel is spoken to (fuse/); the command line has none.
// Threads: any but those that serve requests, which may be what a call waits for.
#pragma once

#include <cstdint>

#include "common/base/bytes.h"
#include "common/base/ids.h"
#include "common/rpc/meta_api.h"

namespace dfs {

class KernelCache {
 public:
  virtual ~KernelCache() = default;
  // Of an inode, its access control lists too. Waits for no request.
  virtual void forget_attributes(InodeId inode) = 0;
  // Every name, and that there is none. Waits for no request.
  virtual void forget_names() = 0;
  // The pages in a range of a file, and its attributes. Waits for requests whose
  // pages are locked. Those of a directory are its listing; no request locks them.
  virtual void forget_pages(InodeId inode, const FileRange& range) = 0;
  // The file has these bytes at `offset`, and so ends there at the earliest. Waits
  // for requests whose pages are locked.
  virtual void store(InodeId inode, std::uint64_t offset, BufferView bytes) = 0;
};

}  // namespace dfs
