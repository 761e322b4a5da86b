// Keeps the namespace from growing into the last of the disk: that is for
// recording what frees space, and what the core does by itself.
//
// Asking the disk costs about as much as an operation. So while there is room
// the answer is kept for a megabyte of changes, and until refresh(); the batch
// that is being made comes on top.
//
// Threads: the core's; no locks.
#pragma once

#include <cstdint>

#include "common/base/metrics.h"
#include "common/kv/kv_store.h"
#include "server/meta/ops/operation.h"

namespace dfs {

class DiskRoom final : public Room {
 public:
  // `store` must outlive this.
  DiskRoom(const KvStore& store, std::uint64_t reserved_bytes);

  Result<void> check() override;
  // So much has been written.
  void wrote(std::uint64_t bytes) { written_ += bytes; }
  // Asks the disk: others may have filled it, or freed some of it. Now and
  // then, whatever happens.
  void refresh();

 private:
  const KvStore& store_;
  const std::uint64_t reserved_bytes_;
  Gauge& gauge_;
  std::uint64_t room_ = 0;     // when it was asked last
  std::uint64_t written_ = 0;  // since then
  bool told_ = false;          // that there is none
};

}  // namespace dfs
