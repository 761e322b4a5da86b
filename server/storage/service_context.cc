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

}  // namespace dfs::storage
