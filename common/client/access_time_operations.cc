// What of FileSystem's calls counts as an access.
#include "common/client/engine.h"

namespace dfs {

bool Engine::accessed(Attributes& attributes, const CallContext& context) {
  if (!config_.access_times || context.keeps_access_time) return false;
  const AccessTimes::Noted noted = access_times_->note(attributes, clock_.wall(), clock_.now());
  if (noted == AccessTimes::Noted::no) return false;
  if (noted == AccessTimes::Noted::yes_and_wake) access_time_sender_.wake();
  access_times_->show(attributes);
  return true;
}

void Engine::accessed(InodeState& state, const CallContext& context) {
  if (!config_.access_times || context.keeps_access_time) return;
  Attributes attributes;
  {
    const std::lock_guard lock(state.mutex);
    if (!state.attributes_at) return;
    attributes = state.merged_locked();
  }
  accessed(attributes, context);
}

void Engine::accessed(InodeId inode, const CallContext& context) {
  if (!config_.access_times || context.keeps_access_time) return;
  if (const InodeStatePtr state = inodes_.find(inode)) return accessed(*state, context);
  if (auto told = meta_cache_.last_told(inode)) accessed(*told, context);
}

void Engine::move_access_times(const std::vector<AccessTime>& times) {
  for (const AccessTime& time : times) {
    const InodeStatePtr state = inodes_.find(time.inode);
    if (state == nullptr) {
      meta_cache_.moved(time);
      continue;
    }
    const std::lock_guard lock(state->mutex);
    if (state->attributes.atime == time.seen) state->attributes.atime = time.accessed;
  }
}

}  // namespace dfs
