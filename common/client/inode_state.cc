#include "common/client/inode_state.h"

#include <algorithm>
#include <utility>

namespace dfs {

void InodeState::others_changed_locked(std::uint64_t data_change) {
  extents.reset();
  contents_change = data_change;
  history_known = false;
  ++lineage;
  unsynced.clear();
}

void InodeState::learn_locked(const Attributes& fresh, SteadyTime now) {
  const bool newer = !attributes_at || fresh.change >= attributes.change;
  if (!newer) return;
  take_attributes_locked(fresh, now);
  // While a change of ours is on its way, its answer says whose change this is.
  if (!exclusive && fresh.data_change > contents_change) others_changed_locked(fresh.data_change);
  remember_locked();
}

// Of two answers that say the same, the one with the later grant holds for longer.
void InodeState::take_attributes_locked(const Attributes& fresh, SteadyTime now) {
  const std::uint64_t order = attributes_at && fresh.change == attributes.change
                                  ? std::max(attributes.lease_order, fresh.lease_order)
                                  : fresh.lease_order;
  attributes = fresh;
  attributes.lease_order = order;
  attributes_at = now;
}

void InodeState::learn_opened_locked(const OpenResult& opened, SteadyTime now) {
  learn_locked(opened.attributes, now);
  const std::uint64_t change = opened.attributes.data_change;
  if (change > contents_change) others_changed_locked(change);
  if (change != contents_change || extents.known_through() > 0) return;
  extents.load(0, opened.extents, opened.extents_complete);
}

bool InodeState::kernel_is_told_locked() {
  const bool was_told = pages_usable_locked() && kernel_change == attributes.data_change;
  pages_change = kernel_change = attributes.data_change;
  return was_told;
}

bool InodeState::learn_extents_locked(std::uint64_t from, const ExtentsResult& page) {
  if (page.data_change > contents_change) others_changed_locked(page.data_change);
  if (page.data_change != contents_change || extents.known_through() != from) return false;
  // An empty page that is not the last would make no progress.
  const bool complete = page.complete || page.extents.empty();
  extents.load(from, page.extents, complete);
  return true;
}

bool InodeState::own_change_locked(const Attributes& after, SteadyTime now) {
  const std::uint64_t change = after.data_change;
  if (commit_only_after && change == *commit_only_after + 1) commit_only_after = change;
  const bool ours_alone = change == contents_change + 1;
  if (ours_alone) {
    contents_change = change;
    for (std::optional<std::uint64_t>* known : {&pages_change, &kernel_change})
      if (*known && **known + 1 == change) *known = change;
  } else if (change > contents_change) {
    others_changed_locked(change);
  }
  if (!attributes_at || after.change >= attributes.change) take_attributes_locked(after, now);
  remember_locked();
  return ours_alone;
}

std::uint64_t InodeState::size_locked() const {
  return std::max(attributes.size, dirty.ranges().end_offset());
}

Attributes InodeState::merged_locked() const {
  Attributes result = attributes;
  result.size = size_locked();
  if (!dirty.empty()) {
    const std::uint64_t whole = (result.size + 4095) / 4096 * 4096;
    const std::uint64_t most = std::max(result.allocated, whole);
    result.allocated = std::min(most, result.allocated + dirty.ranges().bytes());
  }
  if (dirty_mtime) {
    result.mtime = *dirty_mtime;
    result.ctime = std::max(result.ctime, *dirty_mtime);
  }
  if (clear_set_id) {
    result.mode &= ~04000U;
    if ((result.mode & 010U) != 0) result.mode &= ~02000U;
  }
  return result;
}

std::optional<Error> InodeState::take_error_locked() { return std::exchange(error, std::nullopt); }

void InodeState::add_unsynced_locked(UnsyncedChunk chunk) {
  if (!history_known) return;  // everything will be synced anyway
  if (unsynced.size() >= kUnsyncedMax) {
    unsynced.clear();
    history_known = false;
    return;
  }
  unsynced.push_back(std::move(chunk));
}

}  // namespace dfs
