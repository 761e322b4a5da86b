// A bounded queue whose items are worked on by one thread at a time: by
// whoever brings an item while nobody else has the turn.
//
// That spares the hand-over to a thread of its own, which costs more than
// most items. The thread that has the turn takes items until there are none,
// or gives the turn up early and lets others go on.
//
// Threads: any.
#pragma once

#include <cstddef>
#include <deque>
#include <mutex>
#include <utility>

namespace dfs {

template <typename Item>
class TurnQueue {
 public:
  explicit TurnQueue(std::size_t weight_max) : weight_max_(weight_max) {}

  enum class Pushed {
    refused,  // the queue is full or closed; `item` is untouched
    queued,   // somebody else has the turn and will come to it
    my_turn,  // the caller must take() until there is nothing, or release()
  };
  // `weight` counts against the bound; an empty queue takes any weight.
  Pushed push(Item&& item, std::size_t weight) {
    const std::lock_guard lock(mutex_);
    if (closed_ || (weight_ > 0 && weight_ + weight > weight_max_)) return Pushed::refused;
    items_.emplace_back(std::move(item), weight);
    weight_ += weight;
    if (taken_) return Pushed::queued;
    taken_ = true;
    return Pushed::my_turn;
  }

  // With the turn: calls `accept(Item&)` on items from the front while it
  // returns true for them, taking those out with `take(Item&&)`. Gives the
  // turn up and returns false if there was no item at all.
  template <typename Accept, typename Take>
  bool take(Accept&& accept, Take&& take) {
    const std::lock_guard lock(mutex_);
    if (items_.empty()) {
      taken_ = false;
      return false;
    }
    while (!items_.empty() && accept(std::as_const(items_.front().first))) {
      weight_ -= items_.front().second;
      take(std::move(items_.front().first));
      items_.pop_front();
    }
    return true;
  }

  // Gives the turn up although there may be items left.
  void release() {
    const std::lock_guard lock(mutex_);
    taken_ = false;
  }
  // Takes the turn if there are items and nobody has it.
  bool claim() {
    const std::lock_guard lock(mutex_);
    if (taken_ || items_.empty()) return false;
    taken_ = true;
    return true;
  }
  // Everything is refused from now on; what is queued stays.
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  std::size_t weight() const {
    const std::lock_guard lock(mutex_);
    return weight_;
  }

 private:
  const std::size_t weight_max_;
  mutable std::mutex mutex_;
  std::deque<std::pair<Item, std::size_t>> items_;
  std::size_t weight_ = 0;
  bool taken_ = false;
  bool closed_ = false;
};

}  // namespace dfs
