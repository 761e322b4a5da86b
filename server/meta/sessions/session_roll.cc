#include "server/meta/sessions/session_roll.h"

#include <algorithm>
#include <span>
#include <utility>

#include "common/base/checksum.h"

namespace dfs {
namespace {

// So that equal contents have equal marks, over restarts too, and others do not.
std::uint64_t mark_of(const LiveSessions& roll) {
  std::vector<std::uint64_t> numbers{roll.next.value()};
  for (const SessionId session : roll.live) numbers.push_back(session.value());
  return std::max<std::uint64_t>(1, checksum_of(std::as_bytes(std::span(numbers))));
}

}  // namespace

void SessionRoll::look(const SessionTable& sessions, SessionId next) {
  LiveSessions roll{.next = next, .live = {}, .mark = 0};
  for (const auto& [id, session] : sessions.all())
    if (!session->ending) roll.live.push_back(id);
  // With the same `next` no session has come: as many are the same ones.
  if (newest_->next == next && newest_->live.size() == roll.live.size()) return;
  std::sort(roll.live.begin(), roll.live.end());
  roll.mark = mark_of(roll);
  newest_ = std::make_shared<const LiveSessions>(std::move(roll));
}

}  // namespace dfs
