#include "common/client/extent_loader.h"

#include "common/rpc/protocol.h"

namespace dfs {
namespace {

constexpr unsigned kOutdatedMax = 8;

}  // namespace

Result<void> load_extents(MetaClient& meta, InodeState& state, std::uint64_t end,
                          Interrupt* interrupt) {
  for (unsigned outdated = 0;;) {
    std::uint64_t from = 0;
    {
      const std::lock_guard lock(state.mutex);
      // A server that keeps telling less than we know has lost something (a
      // power loss); its word counts.
      if (outdated >= kOutdatedMax) {
        state.forget_contents_locked();
        outdated = 0;
      }
      if (state.extents_usable_locked(end)) return {};
      from = state.extents.known_through();
    }
    const ExtentsResult page = TRY(call_for<ExtentsResult>(
        meta, GetExtentsArgs{state.inode, from, kExtentsPerReplyMax}, Caller{}, interrupt));
    const std::lock_guard lock(state.mutex);
    // An answer that is older than what is known meanwhile is asked for again.
    if (!state.learn_extents_locked(from, page)) ++outdated;
  }
}

}  // namespace dfs
