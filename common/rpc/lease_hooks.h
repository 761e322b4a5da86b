// What a session tells whoever keeps its leases.
//
// Threads: the hooks are called on a thread of the connection, one at a time; they
// must not call the session (post() is allowed) and must not wait.
#pragma once

#include <functional>

#include "common/base/clock.h"
#include "common/rpc/types.h"

namespace dfs {

struct LeaseHooks {
  // Before all others, of a session that another process had: what it has. If that
  // is not complete, what the other one was told is forgotten when this returns; for
  // that it may wait for some milliseconds.
  std::function<void(const SessionEstate&)> adopted{};
  // Every lease that the session has; asked when it is resumed or made anew.
  std::function<LeaseClaims()> claims;
  // A connection stands; before any answer that comes over it, and after claims()
  // if it is not the first one.
  std::function<void(const LeaseTerms&)> welcomed;
  std::function<void(const LeaseRecall&)> recalled;
  // The server has answered something that was asked at this time: it knew the
  // session then.
  std::function<void(SteadyTime asked)> confirmed;
};

}  // namespace dfs
