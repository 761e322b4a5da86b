// Which sessions the metadata server knows at one moment, as it tells the
// storage servers.
//
// Ids are given in order and never twice, and a session that has ended does
// not come back. So the ids below `next` that are not listed are those of all
// sessions that ever ended, and an old roll only lacks the latest of them.
//
// A plain value; shared as an immutable snapshot.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "common/base/ids.h"

namespace dfs {

struct LiveSessions {
  SessionId next;               // the first that no session had yet
  std::vector<SessionId> live;  // ascending, all below `next`; at most kSessionsMax
  std::uint64_t mark = 0;       // made of the contents; 0: nothing was told yet

  // There was such a session, and is not any more. 0 is no session.
  bool has_ended(SessionId session) const {
    if (session == SessionId{} || session >= next) return false;
    return !std::binary_search(live.begin(), live.end(), session);
  }
};
using LiveSessionsPtr = std::shared_ptr<const LiveSessions>;

}  // namespace dfs
