// Rows that outlive who uses them, as a database on disk does. Cut off, it fails
// like the store of a process that is dead: nothing it does later is written.
//
// Threads: any.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/kv/kv_store.h"

namespace dfs {

class BorrowedKvStore final : public KvStore {
 public:
  using Alive = std::shared_ptr<std::atomic<bool>>;

  // `rows` must outlive it. Who is given `alive` too may cut off several at once.
  explicit BorrowedKvStore(KvStore& rows, Alive alive = std::make_shared<std::atomic<bool>>(true))
      : rows_(rows), alive_(std::move(alive)) {}

  void cut_off() { *alive_ = false; }

  Result<std::optional<std::string>> get(std::string_view key) const override { return rows_.get(key); }
  std::unique_ptr<KvCursor> cursor() const override { return rows_.cursor(); }
  std::unique_ptr<KvSnapshot> snapshot() const override { return rows_.snapshot(); }
  Result<void> write(const KvBatch& batch, KvDurability durability) override {
    if (!*alive_) return dead();
    return rows_.write(batch, durability);
  }
  Result<void> sync() override {
    if (!*alive_) return dead();
    return rows_.sync();
  }
  Result<void> flush() override {
    if (!*alive_) return dead();
    return rows_.flush();
  }
  std::uint64_t disk_bytes() const override { return rows_.disk_bytes(); }
  std::uint64_t free_bytes() const override { return rows_.free_bytes(); }

 private:
  static tl::unexpected<Error> dead() { return fail(Errc::io, "the process is dead"); }

  KvStore& rows_;
  const Alive alive_;
};

}  // namespace dfs
