// A KvStore in memory, for tests: fails on request, and forgets what was not
// synced when told that the power failed.
//
// Every operation costs O(log keys) plus what it touches, cursors alive or
// not. Cursors and snapshots must be gone before the store.
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/kv/kv_store.h"

namespace dfs {

class MemoryKvStore final : public KvStore {
 public:
  Result<std::optional<std::string>> get(std::string_view key) const override;
  std::unique_ptr<KvCursor> cursor() const override;
  std::unique_ptr<KvSnapshot> snapshot() const override;
  Result<void> write(const KvBatch& batch, KvDurability durability) override;
  Result<void> sync() override;
  Result<void> flush() override;
  std::uint64_t disk_bytes() const override;
  std::uint64_t free_bytes() const override { return free_bytes_; }

  // The next `count` writes, syncs or flushes fail with `code` and change
  // nothing.
  void fail_writes(Errc code, int count = 1);
  // What free_bytes() says; nothing else depends on it.
  void set_free_bytes(std::uint64_t bytes) { free_bytes_ = bytes; }
  // Back to what sync(), flush() or a stable write had made safe.
  void lose_power();

 private:
  class Cursor;
  class Snapshot;
  // A key's value from a moment on; no value: erased. Moments are numbers of
  // writes.
  struct Version {
    std::uint64_t since;
    std::optional<std::string> value;
  };
  // Oldest first; older ones exist only while a cursor may see them.
  using Versions = std::vector<Version>;
  using Table = std::map<std::string, Versions, std::less<>>;
  using Plain = std::map<std::string, std::string, std::less<>>;

  // What a cursor at `moment` sees of a key.
  static const std::string* seen(const Versions& versions, std::uint64_t moment);
  static void apply_plainly(Plain& map, const KvBatch& batch);

  Result<void> maybe_fail_locked();
  void set_locked(std::string_view key, std::optional<std::string> value);
  void apply_locked(const KvBatch& batch, KvDurability durability);
  void make_log_safe_locked();
  void hold(std::uint64_t moment) const;
  void release(std::uint64_t moment) const;

  mutable std::mutex mutex_;
  mutable Table now_;
  std::uint64_t moment_ = 0;                          // of the last write
  mutable std::multiset<std::uint64_t> cursors_at_;   // moments of the living cursors and snapshots
  mutable std::vector<std::string> superseded_;       // keys with versions to drop

  Plain safe_;                                        // what a power loss leaves
  std::vector<KvBatch> log_;                          // `process` writes since the last sync
  std::set<std::string, std::less<>> unlogged_keys_;  // changed by `none` since the last flush
  std::atomic<std::uint64_t> free_bytes_{std::numeric_limits<std::uint64_t>::max()};
  Errc fail_code_ = Errc::ok;
  int fail_count_ = 0;
};

}  // namespace dfs
