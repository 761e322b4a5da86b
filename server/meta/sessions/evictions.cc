#include "server/meta/sessions/evictions.h"

#include <fmt/format.h>

#include "common/base/log.h"

namespace dfs {

Evictions::Evictions()
    : count_(metrics().counter("dfs_meta_evictions_total",
                               "Sessions ended because they did not give back a lease.")) {}

void Evictions::evict(SessionTable& sessions, SessionId id, const std::string& why,
                      WallNanos now) {
  const Session* session = sessions.find(id);
  if (session == nullptr) return;
  const SessionRecord& record = session->record;
  log_warn("sessions", "session {} of {} on {} ({}) is ended because {}", id.value(),
           record.program, record.host, record.place, why);
  latest_.push_back({id, record.program, record.host, record.place, now, why});
  if (latest_.size() > kEvictionsKept) latest_.pop_front();
  count_.add();
  sessions.evict(id, {Errc::session_lost, fmt::format("the session was ended because {}", why)});
}

}  // namespace dfs
