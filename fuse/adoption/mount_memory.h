// What a mount keeps in memory that outlives its process, so that another one can go
// on for the kernel and for the metadata server as if nothing had happened.
//
//   greeting    the kernel's first request and what both sides agreed on then
//   handles     what the kernel holds open
//   operations  the mutations of requests that have not been answered
//   session     who this mount is to the metadata server
//   locks       what programs have locked
//
// Threads: as each part says.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "common/base/lasting_memory.h"
#include "common/rpc/lock_memo.h"
#include "common/rpc/operation_table.h"
#include "common/rpc/session_memo.h"
#include "fuse/adoption/handle_records.h"

namespace dfs::fuse {

struct Greeting {
  static constexpr std::uint32_t kLayout = 1;
  static constexpr std::size_t kBytesMax = 512;

  std::uint64_t agreed_flags;
  std::uint32_t bytes;  // of the request; 0: the kernel has not said hello; stored last
  std::array<std::byte, kBytesMax> request;
};

class MountMemory {
 public:
  // Parts of `memory`, which must outlive it.
  //   wrong_version  another version of this program made them
  static Result<std::unique_ptr<MountMemory>> open(LastingMemory& memory);
  // For one process only.
  static Result<std::unique_ptr<MountMemory>> create();

  // Another process has served this mount.
  bool has_former() const { return greeting().bytes > 0; }
  Greeting& greeting() const { return *greeting_; }
  SessionMemo& session() const { return *session_; }
  HandleRecords& handles() { return handles_; }
  OperationTable& operations() { return operations_; }
  LockMemo& locks() { return locks_; }

 private:
  struct Parts {
    MutableBuffer greeting;
    MutableBuffer session;
    MutableBuffer handles;
    MutableBuffer operations;
    MutableBuffer locks;
  };
  static Result<Parts> find_parts(LastingMemory& memory);
  explicit MountMemory(const Parts& parts);

  std::unique_ptr<LastingMemory> own_;  // if it is for one process only
  Greeting* const greeting_;
  SessionMemo* const session_;
  HandleRecords handles_;
  OperationTable operations_;
  LockMemo locks_;
};

}  // namespace dfs::fuse
