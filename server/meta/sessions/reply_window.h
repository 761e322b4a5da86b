// The sequences of one session whose replies are kept for a repeat. The
// replies themselves are in the table `R`.
//
// Threads: the core's; no locks.
#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <vector>

#include "common/base/ids.h"

namespace dfs {

class ReplyWindow {
 public:
  bool contains(Sequence sequence) const {
    return std::binary_search(kept_.begin(), kept_.end(), sequence);
  }
  // Sequences come nearly in order, so this appends.
  void add(Sequence sequence) {
    kept_.insert(std::upper_bound(kept_.begin(), kept_.end(), sequence), sequence);
  }
  void remove(Sequence sequence) {
    const auto at = std::lower_bound(kept_.begin(), kept_.end(), sequence);
    if (at != kept_.end() && *at == sequence) kept_.erase(at);
  }

  // Replies up to `through` have arrived and are not needed any more.
  void acknowledge(Sequence through) { answered_through_ = std::max(answered_through_, through); }
  Sequence answered_through() const { return answered_through_; }
  // The largest sequence that has succeeded, as far as anything is kept of it.
  Sequence largest() const {
    return kept_.empty() ? answered_through_ : std::max(kept_.back(), answered_through_);
  }
  // The first acknowledged sequences that are still kept, at most `count_max`; never
  // the last one, by which a session that comes back is known to have lost nothing.
  std::vector<Sequence> acknowledged(std::size_t count_max) const {
    auto end = kept_.begin();
    while (end != kept_.end() && end + 1 != kept_.end() && *end <= answered_through_ && count_max-- > 0) ++end;
    return {kept_.begin(), end};
  }

  std::size_t size() const { return kept_.size(); }

 private:
  std::deque<Sequence> kept_;  // ascending
  Sequence answered_through_;
};

}  // namespace dfs
