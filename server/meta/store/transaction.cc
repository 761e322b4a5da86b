#include "server/meta/store/transaction.h"

namespace dfs {

void Transaction::begin_operation() {
  ++operation_;
  std::apply([](auto&... overlays) { (overlays.begin_operation(), ...); }, overlays_);
}

void Transaction::undo_operation() {
  std::apply([](auto&... overlays) { (overlays.undo(), ...); }, overlays_);
  // What follows is a new operation: its changes must be remembered afresh.
  ++operation_;
}

bool Transaction::changed() const {
  return std::apply([](const auto&... overlays) { return ((overlays.changes() > 0) || ...); },
                    overlays_);
}

namespace {

template <typename Table>
void add_changes(const Overlay<Table>& overlay, KvBatch& batch) {
  if (overlay.changes() == 0) return;
  for (const auto& [key, slot] : overlay.slots()) {
    if (!slot.changed) continue;
    std::string raw;
    raw_key<Table>(raw, key);
    if (!slot.record) {
      batch.erase(std::move(raw));
      continue;
    }
    std::string value;
    encode(*slot.record, value);
    batch.put(std::move(raw), std::move(value));
  }
}

// After the commit: what the store has is what the overlay had.
template <typename Table>
void publish(const Overlay<Table>& overlay, RecordCache& cache) {
  if constexpr (Table::kCached) {
    for (const auto& [key, slot] : overlay.slots())
      if (slot.changed) cache.of<Table>().keep(key, slot.record);
  }
}

}  // namespace

KvBatch Transaction::take_batch() {
  KvBatch batch;
  std::apply([&](const auto&... overlays) { (add_changes(overlays, batch), ...); }, overlays_);
  // The store may copy what a cursor still looks at when it is written to.
  cursor_.reset();
  return batch;
}

void Transaction::committed() {
  std::apply([&](const auto&... overlays) { (publish(overlays, cache_), ...); }, overlays_);
  abandon();
}

void Transaction::abandon() {
  cursor_.reset();
  std::apply([](auto&... overlays) { (overlays.clear(), ...); }, overlays_);
  cache_.trim();
}

KvCursor& Transaction::cursor() {
  if (!cursor_) cursor_ = store_.cursor();
  return *cursor_;
}

}  // namespace dfs
