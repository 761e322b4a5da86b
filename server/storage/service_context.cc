#include "server/storage/service_context.h"

#include <fmt/format.h>

namespace dfs::storage {

Result<void> GroupEpochs::check(GroupId group, Epoch epoch) const {
  const Epoch newest = epochs_.with([&](const auto& epochs) {
    const auto found = epochs.find(group);
    return found == epochs.end() ? Epoch{} : found->second;
  });
  if (epoch >= newest) return {};
  return fail(Errc::stale_epoch, fmt::format("group {} is at epoch {}, the caller at {}",
                                             group.value(), newest.value(), epoch.value()));
}

Result<void> SessionFence::check(SessionId session) const {
  const LiveSessionsPtr known = sessions_.with([](const auto& sessions) { return sessions; });
  if (known == nullptr || !known->has_ended(session)) return {};
  return fail(Errc::session_lost, fmt::format("session {} has ended", session.value()));
}

}  // namespace dfs::storage
