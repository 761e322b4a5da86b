// Which sessions there are, as storage servers are told, so that they take
// nothing more of one that has ended.
//
// It is made of the table alone, which a start reads from its rows: a session
// that had ended before a restart is not there after it either. Since an old
// roll refuses nobody who goes on (common/rpc/live_sessions.h), it need not
// follow every change at once.
//
// Threads: the core's; no locks. What newest() returned may go to any thread.
#pragma once

#include "common/rpc/live_sessions.h"
#include "server/meta/sessions/session_table.h"

namespace dfs {

class SessionRoll {
 public:
  // From time to time. `next`: the id that the next new session will get.
  // Sessions that are ending have ended.
  void look(const SessionTable& sessions, SessionId next);
  // As of the last look().
  const LiveSessionsPtr& newest() const { return newest_; }

 private:
  LiveSessionsPtr newest_ = std::make_shared<LiveSessions>();
};

}  // namespace dfs
