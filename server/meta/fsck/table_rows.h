// The rows of one table as a snapshot has them, in key order.
//
// A row whose value does not hold is shown as such, it is no error: finding
// those is what a check is for. Rows whose key does not hold are passed over
// (row_pass.h names them).
//
// Threads: one.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "common/kv/kv_store.h"
#include "server/meta/store/tables.h"

namespace dfs::fsck {

template <typename Table>
class TableRows {
 public:
  using Key = typename Table::Key;
  using View = typename Table::View;
  using Record = typename Table::Record;

  // `snapshot` must outlive this.
  explicit TableRows(const KvSnapshot& snapshot) : snapshot_(snapshot) {}

  // Go to a row; afterwards valid() says whether there is one. Errors: the store's.
  Result<void> first() { return seek_raw(std::string(1, Table::kPrefix)); }
  Result<void> seek(View key) {
    std::string raw;
    raw_key<Table>(raw, key);
    return seek_raw(raw);
  }
  Result<void> next() {
    if (++moves_ < kMovesPerCursor) {
      cursor_->next();
      return take();
    }
    // A cursor keeps what the store has replaced since it was made.
    std::string after(cursor_->key());
    after.push_back('\0');
    return seek_raw(after);
  }
  // The row with this key, if there is one.
  Result<bool> find(View key) {
    if (valid_ && View(key_) == key) return true;
    TRY(seek(key));
    return valid_ && View(key_) == key;
  }

  bool valid() const { return valid_; }
  const Key& key() const { return key_; }
  // Null: its value does not hold. Until the next move.
  const Record* record() const { return readable_ ? &record_ : nullptr; }

 private:
  static constexpr std::uint32_t kMovesPerCursor = 1 << 17;

  Result<void> seek_raw(const std::string& raw) {
    if (cursor_ == nullptr || ++moves_ >= kMovesPerCursor) {
      cursor_ = snapshot_.cursor();
      moves_ = 0;
    }
    cursor_->seek(raw);
    return take();
  }
  Result<void> take() {
    for (; cursor_->valid() && cursor_->key().front() == Table::kPrefix; cursor_->next()) {
      if (!keys::parse(cursor_->key().substr(1), key_)) continue;
      record_ = Record{};
      readable_ = decode(cursor_->value(), record_);
      valid_ = true;
      return {};
    }
    valid_ = false;
    return cursor_->status();
  }

  const KvSnapshot& snapshot_;
  std::unique_ptr<KvCursor> cursor_;
  std::uint32_t moves_ = 0;
  bool valid_ = false;
  bool readable_ = false;
  Key key_{};
  Record record_{};
};

}  // namespace dfs::fsck
