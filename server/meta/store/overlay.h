// The rows of one table that a transaction has read or changed, decoded, with
// what is needed to undo the operation that is running.
//
// A slot is `changed` when the store has to be told of it. Slots stay where
// they are until they are erased by undo() or clear().
//
// Threads: one, the transaction's.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "server/meta/store/record_cache.h"

namespace dfs {

template <typename Table>
class Overlay {
 public:
  using Key = typename Table::Key;
  using View = typename Table::View;
  using Record = typename Table::Record;

  struct Slot {
    std::optional<Record> record;  // empty: there is no such row
    bool changed = false;
    std::uint64_t operation = 0;  // the last one that changed it
  };
  // Tables that are never scanned through a transaction need no order.
  using Slots = std::conditional_t<
      Table::kCached, std::unordered_map<Key, Slot, KeyHash, KeyEqual<Table>>,
      std::map<Key, Slot, KeyLess<Table>>>;

  const Slot* find(View key) const {
    const auto found = slots_.find(key);
    return found == slots_.end() ? nullptr : &found->second;
  }
  // Remembers what the store has under a key that has no slot yet.
  const Slot& keep_read(View key, std::optional<Record> record) {
    return slots_.emplace(Key(key), Slot{std::move(record), false, 0}).first->second;
  }
  // The slot to change in `operation`: found or made, and remembered for undo.
  Slot& touch(View key, std::uint64_t operation) {
    auto found = slots_.find(key);
    if (found == slots_.end()) {
      found = slots_.emplace(Key(key), Slot{}).first;
      undo_.push_back({&*found, std::nullopt});
    } else if (found->second.operation != operation) {
      undo_.push_back({&*found, found->second});
    }
    found->second.operation = operation;
    if (!found->second.changed) {
      found->second.changed = true;
      ++changes_;
    }
    return found->second;
  }

  // Calls `visit(key)` for each row that the operation that runs has touched.
  template <typename Visit>
  void for_each_touched(const Visit& visit) const {
    for (const Step& step : undo_) visit(step.node->first);
  }
  void begin_operation() { undo_.clear(); }
  void undo() {
    for (auto step = undo_.rbegin(); step != undo_.rend(); ++step) {
      if (!step->before || !step->before->changed) --changes_;
      if (step->before)
        step->node->second = *std::move(step->before);
      else
        slots_.erase(slots_.find(View(step->node->first)));
    }
    undo_.clear();
  }
  void clear() {
    slots_.clear();
    undo_.clear();
    changes_ = 0;
  }
  const Slots& slots() const { return slots_; }
  std::size_t changes() const { return changes_; }

 private:
  struct Step {
    typename Slots::value_type* node;
    std::optional<Slot> before;  // empty: there was no slot
  };
  Slots slots_;
  std::vector<Step> undo_;
  std::size_t changes_ = 0;
};

}  // namespace dfs
