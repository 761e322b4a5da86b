// The sequences of one session whose replies are kept for a repeat. The
// replies themselves are in the table `R`.
//
// Each has a number besides, which counts the session's changes in the order of the
// log. Power loss takes the end of the log: so whoever was told of a larger one than
// the largest here was told of changes that are lost.
//
// Threads: the core's; no locks.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "common/base/ids.h"

namespace dfs {

class ReplyWindow {
 public:
  bool contains(Sequence sequence) const {
    const auto at = find(sequence);
    return at != kept_.end() && at->sequence == sequence;
  }
  // Sequences come nearly in order, so this appends.
  void add(Sequence sequence, std::uint64_t change) {
    kept_.insert(find(sequence), {sequence, change});
    if (change > last_.change) last_ = {sequence, change};
  }
  // The number of its change; 0 if nothing is kept of it.
  std::uint64_t change_of(Sequence sequence) const { return contains(sequence) ? find(sequence)->change : 0; }
  void remove(Sequence sequence) {
    if (!contains(sequence)) return;
    kept_.erase(find(sequence));
    if (last_.sequence != sequence) return;
    last_ = {};
    for (const Kept& each : kept_)
      if (each.change > last_.change) last_ = each;
  }

  // Replies up to `through` have arrived and are not needed any more.
  void acknowledge(Sequence through) { answered_through_ = std::max(answered_through_, through); }
  Sequence answered_through() const { return answered_through_; }
  // The largest sequence that has succeeded, as far as anything is kept of it.
  Sequence largest() const {
    return kept_.empty() ? answered_through_ : std::max(kept_.back().sequence, answered_through_);
  }
  // How many changes there were, as far as anything is kept of them.
  std::uint64_t changes() const { return last_.change; }
  // The first acknowledged sequences that are still kept, at most `count_max`; never
  // the largest and that of the last change, by which a session that comes back is
  // known to have lost nothing.
  std::vector<Sequence> acknowledged(std::size_t count_max) const {
    std::vector<Sequence> found;
    for (const Kept& each : kept_) {
      const bool may_go = each.sequence <= answered_through_ && each.sequence != kept_.back().sequence;
      if (!may_go || found.size() == count_max) break;
      if (each.sequence != last_.sequence) found.push_back(each.sequence);
    }
    return found;
  }

  std::size_t size() const { return kept_.size(); }

 private:
  struct Kept {
    Sequence sequence;
    std::uint64_t change = 0;
  };

  std::deque<Kept>::const_iterator find(Sequence sequence) const {
    return std::lower_bound(kept_.begin(), kept_.end(), sequence,
                            [](const Kept& each, Sequence of) { return each.sequence < of; });
  }

  std::deque<Kept> kept_;  // ascending
  Kept last_;              // of those, the last change
  Sequence answered_through_;
};

}  // namespace dfs
