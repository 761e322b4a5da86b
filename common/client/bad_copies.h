// Copies of chunks that a server was found not to have, or to have wrong: not
// asked for again, nor reported again, for a while.
//
// Bound: `kMax` entries; when they are full, all are forgotten.
// Threads: any.
#pragma once

#include <chrono>
#include <map>
#include <utility>

#include "common/base/clock.h"
#include "common/base/guarded.h"
#include "common/base/ids.h"

namespace dfs {

class BadCopies {
 public:
  explicit BadCopies(const Clock& clock) : clock_(clock) {}

  // True if this is news.
  bool note(ChunkId chunk, ServerId server) {
    const SteadyTime now = clock_.now();
    return known_.with([&](Known& known) {
      if (known.size() >= kMax) known.clear();
      const auto [it, fresh] = known.try_emplace({chunk, server}, now);
      if (fresh || now - it->second < kFor) return fresh;
      it->second = now;
      return true;
    });
  }
  bool is_bad(ChunkId chunk, ServerId server) const {
    return known_.with([&](const Known& known) {
      if (known.empty()) return false;
      const auto it = known.find({chunk, server});
      return it != known.end() && clock_.now() - it->second < kFor;
    });
  }

 private:
  // About as long as a repair takes that has been asked for.
  static constexpr std::chrono::seconds kFor{30};
  static constexpr std::size_t kMax = 4096;
  using Known = std::map<std::pair<ChunkId, ServerId>, SteadyTime>;

  const Clock& clock_;
  Guarded<Known> known_;
};

}  // namespace dfs
