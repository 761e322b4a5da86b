// What a batch of operations reads and changes, before it is committed.
//
// A transaction lays changes over the store: its reads see them, the store
// does not. The core runs many operations against one transaction and commits
// them together:
//
//   const Result<MetaResult> result = execute(txn, context, args);  // many times
//   KvBatch batch = txn.take_batch();
//   if (store.write(batch, durability)) txn.committed(); else txn.abandon();
//
// Each operation is whole: begin_operation() sets a mark, undo_operation()
// goes back to it.
//
// Rows are decoded once and encoded once a batch, however many operations
// touch them. Inodes and directory entries come from the RecordCache when it
// knows them, without touching the store.
//
// Threads: one, the core's. The store must not change, and the cache must be
// used by nobody else, from the first read to committed() or abandon(); after
// those the transaction is empty and can be used again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "common/kv/kv_store.h"
#include "server/meta/store/overlay.h"
#include "server/meta/store/record_cache.h"
#include "server/meta/store/tables.h"

namespace dfs {

class Transaction {
 public:
  // `store` and `cache` must outlive the transaction.
  Transaction(const KvStore& store, RecordCache& cache) : store_(store), cache_(cache) {}
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  ~Transaction() { abandon(); }

  // The row, or null. Errors of all reads: `io`, `corrupt` (names the row).
  // The record is valid until undo_operation(), committed(), abandon(), or
  // put() or erase() of the row; what a later edit() changes may or may not
  // show in it.
  template <typename Table>
  Result<const typename Table::Record*> find(typename Table::View key);

  // The row to change in place, or null. Valid until undo_operation(),
  // committed(), abandon(), or put() or erase() of the row.
  template <typename Table>
  Result<typename Table::Record*> edit(typename Table::View key);

  // Makes or replaces the row; the result is as that of edit().
  template <typename Table>
  typename Table::Record& put(typename Table::View key, typename Table::Record record);

  // Afterwards there is no such row, whether there was one or not.
  template <typename Table>
  void erase(typename Table::View key);

  // The rows in [from, to), in key order, the first `rows_max` of them. Not
  // for cached tables.
  template <typename Table>
  Result<std::vector<Row<Table>>> rows(typename Table::View from, typename Table::View to,
                                       std::size_t rows_max);

  // The last row in [from, before). Not for cached tables.
  template <typename Table>
  Result<std::optional<Row<Table>>> last_row(typename Table::View from,
                                             typename Table::View before);

  // Everything up to here stays; what follows can be undone.
  void begin_operation();
  // Back to the last begin_operation(). Once each.
  void undo_operation();

  // Calls `visit(key)` for each row that was edited, put or erased since the last
  // begin_operation(). Nothing may be changed meanwhile.
  template <typename Table, typename Visit>
  void for_each_touched(const Visit& visit) const {
    std::get<Overlay<Table>>(overlays_).for_each_touched(visit);
  }

  // Whether there is anything to commit.
  bool changed() const;
  // All changes, encoded. They stay visible here until committed() or abandon().
  KvBatch take_batch();
  // The batch taken is in the store: its rows become what the cache knows.
  void committed();
  // Forgets all changes. The cache is as if they had never been made.
  void abandon();

 private:
  template <typename Table>
  Overlay<Table>& overlay() {
    return std::get<Overlay<Table>>(overlays_);
  }
  template <typename Table>
  Result<std::optional<typename Table::Record>> load(typename Table::View key);
  KvCursor& cursor();

  const KvStore& store_;
  RecordCache& cache_;
  std::unique_ptr<KvCursor> cursor_;  // made by the first scan
  std::string raw_;                   // the key being read
  std::uint64_t operation_ = 1;
  std::tuple<Overlay<tables::Inodes>, Overlay<tables::Dirents>, Overlay<tables::Listing>,
             Overlay<tables::Extents>, Overlay<tables::Xattrs>, Overlay<tables::Chunks>,
             Overlay<tables::Garbage>, Overlay<tables::Orphans>, Overlay<tables::Groups>,
             Overlay<tables::Missing>, Overlay<tables::Servers>, Overlay<tables::Sessions>,
             Overlay<tables::Replies>, Overlay<tables::Conversions>, Overlay<tables::Walks>,
             Overlay<tables::Twins>, Overlay<tables::Cluster>>
      overlays_;
};

// --- the templates ---------------------------------------------------------------

template <typename Table>
Result<std::optional<typename Table::Record>> Transaction::load(typename Table::View key) {
  raw_key<Table>(raw_, key);
  const std::optional<std::string> bytes = TRY(store_.get(raw_));
  std::optional<typename Table::Record> record;
  if (!bytes) return record;
  record.emplace();
  TRY(decode_row<Table>(raw_, *bytes, *record));
  return record;
}

template <typename Table>
Result<const typename Table::Record*> Transaction::find(typename Table::View key) {
  const auto* slot = overlay<Table>().find(key);
  if (slot != nullptr) return slot->record ? &*slot->record : nullptr;
  if constexpr (Table::kCached) {
    CachedRows<Table>& cached = cache_.of<Table>();
    const auto* known = cached.find(key);
    if (known == nullptr) {
      std::optional<typename Table::Record> record = TRY(load<Table>(key));
      known = &cached.keep(key, std::move(record));
    }
    return *known ? &**known : nullptr;
  } else {
    std::optional<typename Table::Record> record = TRY(load<Table>(key));
    slot = &overlay<Table>().keep_read(key, std::move(record));
    return slot->record ? &*slot->record : nullptr;
  }
}

template <typename Table>
Result<typename Table::Record*> Transaction::edit(typename Table::View key) {
  const auto* found = TRY(find<Table>(key));
  if (found == nullptr) return nullptr;
  auto& slot = overlay<Table>().touch(key, operation_);
  if (!slot.record) slot.record = *found;  // a new slot over a cached row
  return &*slot.record;
}

template <typename Table>
typename Table::Record& Transaction::put(typename Table::View key,
                                         typename Table::Record record) {
  auto& slot = overlay<Table>().touch(key, operation_);
  slot.record = std::move(record);
  return *slot.record;
}

template <typename Table>
void Transaction::erase(typename Table::View key) {
  overlay<Table>().touch(key, operation_).record.reset();
}

template <typename Table>
Result<std::vector<Row<Table>>> Transaction::rows(typename Table::View from,
                                                  typename Table::View to,
                                                  std::size_t rows_max) {
  static_assert(!Table::kCached, "cached tables have no order here");
  std::vector<Row<Table>> result;
  std::string raw_to;
  raw_key<Table>(raw_to, to);
  raw_key<Table>(raw_, from);
  KvCursor& stored = cursor();
  stored.seek(raw_);

  const auto& slots = overlay<Table>().slots();
  auto laid_over = slots.lower_bound(from);
  const KeyLess<Table> less;
  while (result.size() < rows_max) {
    const bool has_slot = laid_over != slots.end() && less(laid_over->first, to);
    if (!stored.valid() || stored.key() >= raw_to) {
      TRY(stored.status());
      if (!has_slot) break;
    } else {
      typename Table::Key key;
      TRY(parse_row_key<Table>(stored.key(), key));
      const bool same = has_slot && !less(key, laid_over->first) && !less(laid_over->first, key);
      if (!has_slot || (!same && less(key, laid_over->first))) {
        typename Table::Record record;
        TRY(decode_row<Table>(stored.key(), stored.value(), record));
        result.push_back({std::move(key), std::move(record)});
        stored.next();
        continue;
      }
      if (same) stored.next();
    }
    if (laid_over->second.record) result.push_back({laid_over->first, *laid_over->second.record});
    ++laid_over;
  }
  return result;
}

template <typename Table>
Result<std::optional<Row<Table>>> Transaction::last_row(typename Table::View from,
                                                        typename Table::View before) {
  static_assert(!Table::kCached, "cached tables have no order here");
  std::optional<Row<Table>> result;
  const auto& slots = overlay<Table>().slots();
  const KeyLess<Table> less;
  if (!less(from, before)) return result;

  // The last row laid over, then the last stored one that is not hidden.
  for (auto slot = slots.lower_bound(before); slot != slots.begin();) {
    --slot;
    if (less(slot->first, from)) break;
    if (!slot->second.record) continue;
    result = Row<Table>{slot->first, *slot->second.record};
    break;
  }
  std::string raw_from;
  raw_key<Table>(raw_from, result ? typename Table::View(result->key) : from);
  raw_key<Table>(raw_, before);
  KvCursor& stored = cursor();
  stored.seek_for_previous(raw_);
  if (stored.valid() && stored.key() == raw_) stored.previous();
  for (; stored.valid() && stored.key() >= raw_from; stored.previous()) {
    typename Table::Key key;
    TRY(parse_row_key<Table>(stored.key(), key));
    const auto* slot = overlay<Table>().find(key);
    if (slot != nullptr && !slot->record) continue;
    if (slot != nullptr) return result;  // the row laid over that was found above
    typename Table::Record record;
    TRY(decode_row<Table>(stored.key(), stored.value(), record));
    return Row<Table>{std::move(key), std::move(record)};
  }
  TRY(stored.status());
  return result;
}

}  // namespace dfs
