// Whether the metadata server may hold changes of ours that would not survive
// a power loss.
//
// Threads: any.
#pragma once

#include <atomic>
#include <cstdint>

#include "common/rpc/meta_client.h"

namespace dfs {

class MetaSync {
 public:
  explicit MetaSync(MetaClient& meta) : meta_(meta) {}

  // A change has been, or may have been, made.
  void changed() { changes_.fetch_add(1); }

  // Returns when all changes counted before survive power loss; asks the
  // server only if there are any.
  Result<void> sync(const Caller& caller, Interrupt* interrupt) {
    const std::uint64_t counted = changes_.load();
    if (synced_.load() >= counted) return {};
    TRY(call_for<EmptyResult>(meta_, SyncArgs{}, caller, interrupt));
    raise_to(counted);
    return {};
  }

  // For a synced commit: what was counted before it is sent is synced with it.
  std::uint64_t counted() const { return changes_.load(); }
  void raise_to(std::uint64_t counted) {
    std::uint64_t known = synced_.load();
    while (known < counted && !synced_.compare_exchange_weak(known, counted)) {
    }
  }

 private:
  MetaClient& meta_;
  // A fresh start knows nothing of what an earlier process left unsynced.
  std::atomic<std::uint64_t> changes_{1};
  std::atomic<std::uint64_t> synced_{0};
};

}  // namespace dfs
