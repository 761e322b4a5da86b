// Sessions that are ended because others cannot wait for them any longer, and
// the record of that for people.
//
// Threads: the core's; no locks.
#pragma once

#include <cstddef>
#include <deque>
#include <string>

#include "common/base/clock.h"
#include "common/base/metrics.h"
#include "common/rpc/meta_api.h"
#include "server/meta/sessions/session_table.h"

namespace dfs {

// So many are remembered.
inline constexpr std::size_t kEvictionsKept = 16;

class Evictions {
 public:
  Evictions();

  // Ends the session, if it is there: it is told, and is ending in the table. What
  // it has goes as with every session that ends. `why` completes the sentence
  // "The session was ended because ...".
  void evict(SessionTable& sessions, SessionId id, const std::string& why, WallNanos now);

  // The latest, oldest first.
  const std::deque<Eviction>& latest() const { return latest_; }

 private:
  std::deque<Eviction> latest_;
  Counter& count_;
};

}  // namespace dfs
