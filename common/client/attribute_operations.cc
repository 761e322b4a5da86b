// The calls of FileSystem about attributes, extended attributes and space.
#include <algorithm>

#include "common/client/engine.h"
#include "common/rpc/consistency.h"
#include "common/rpc/time_limit.h"

namespace dfs {

std::optional<Attributes> Engine::known_attributes(InodeId inode) const {
  const InodeStatePtr state = inodes_.find(inode);
  std::optional<Attributes> known;
  if (state == nullptr) {
    known = meta_cache_.find(inode);
  } else {
    const std::lock_guard lock(state->mutex);
    if (state->attributes_usable_locked(freshness_)) known = state->merged_locked();
  }
  if (known) access_times_->show(*known);
  return known;
}

Result<Attributes> Engine::get_attributes(InodeId inode, const CallContext& context) {
  if (const auto known = known_attributes(inode)) return *known;
  if (!context.may_wait) return fail(Errc::would_wait);
  const auto result = ask<AttributesResult>(GetAttrArgs{inode}, context);
  if (result) return learn(result->attributes);
  if (result.error().code == Errc::stale) {
    if (const auto last = removed_.find(inode)) return *last;
  }
  return fail(result.error());
}

// Sizes and times are ordered with what is buffered: a commit on its way is
// over before, and none starts until the answer is there. So an older commit
// neither grows the file again nor puts an older mtime over the new one.
Result<Attributes> Engine::set_attributes(const SetAttrArgs& args, const CallContext& context) {
  if (args.atime || args.atime_now) access_times_->forget(args.inode);
  const InodeStatePtr state = inodes_.find(args.inode);
  bool buffered = false;
  if (state != nullptr) {
    const std::lock_guard lock(state->mutex);
    buffered = !state->dirty.empty() || state->exclusive;
  }
  if (state == nullptr || (!buffered && !args.size)) {
    return set_unbuffered(args, context);
  }

  const auto apply = [this, args](InodeState& target, const MetaResult& answer) {
    const auto* result = std::get_if<AttributesResult>(&answer);
    if (result == nullptr) return;
    gate_.granted(result->attributes);
    const SteadyTime now = clock_.now();
    if (args.size) {
      apply_size_locked(target, *args.size, result->attributes, now);
    } else {
      target.learn_locked(result->attributes, now);
    }
    if (args.size || args.mtime || args.mtime_now) target.dirty_mtime.reset();
    if (args.mode || args.uid || args.gid) target.clear_set_id = false;
  };
  TRY(change_exclusively(state, args, context, apply));
  Attributes result;
  {
    const std::lock_guard lock(state->mutex);
    result = state->merged_locked();
  }
  access_times_->show(result);
  return result;
}

Result<Attributes> Engine::set_unbuffered(const SetAttrArgs& args, const CallContext& context) {
  const auto result = change<AttributesResult>(args, context);
  if (result) return learn(result->attributes);
  if (result.error().code == Errc::stale) {
    if (const auto after = removed_.change(args, context.caller, clock_.wall())) return *after;
  }
  return fail(result.error());
}

void Engine::apply_size_locked(InodeState& state, std::uint64_t size, const Attributes& after,
                               SteadyTime now) {
  // First: the bytes that were cut off must not be said to follow that.
  state.dirty.cut(size, ExtentMap::kEverything - size);
  const bool follow = state.own_change_locked(after, now);
  if (follow) state.extents.truncate(size);
  if (size == 0) {
    // Nothing is left that could be unsynced.
    state.unsynced.clear();
    state.history_known = true;
  }
}

Result<void> Engine::set_xattr(const SetXattrArgs& args, const CallContext& context) {
  const AttributesResult result = TRY(change<AttributesResult>(args, context));
  static_cast<void>(learn(result.attributes));
  return {};
}

// Most inodes have none, and a kernel asks for each: for ACLs whenever somebody
// else than the owner comes, for capabilities before it writes or runs a file.
Result<std::string> Engine::get_xattr(InodeId inode, const std::string& name,
                                      const CallContext& context) {
  if (name == kConsistencyName) {
    const Attributes attributes = TRY(get_attributes(inode, context));
    return std::string(name_of(attributes.consistency));
  }
  const auto known = known_attributes(inode);
  if (known && known->xattrs == 0) return fail(Errc::no_data);
  if (!context.may_wait) return fail(Errc::would_wait);
  auto result = ask<XattrResult>(GetXattrArgs{inode, name}, context);
  if (result) return std::move(result->value);
  // They are gone with it.
  if (was_removed_here(inode, result.error())) return fail(Errc::no_data);
  return fail(result.error());
}

Result<std::vector<std::string>> Engine::list_xattr(InodeId inode, const CallContext& context) {
  const auto known = known_attributes(inode);
  if (known && known->xattrs == 0) return std::vector<std::string>{};
  auto result = ask<XattrResult>(ListXattrArgs{inode}, context);
  if (result) return std::move(result->names);
  if (was_removed_here(inode, result.error())) return std::vector<std::string>{};
  return fail(result.error());
}

Result<void> Engine::remove_xattr(InodeId inode, const std::string& name,
                                  const CallContext& context) {
  const AttributesResult result =
      TRY(change<AttributesResult>(RemoveXattrArgs{inode, name}, context));
  static_cast<void>(learn(result.attributes));
  return {};
}

Result<StatFsResult> Engine::stat_fs(const CallContext& context) {
  StatFsResult result = TRY(ask_space(context));
  // What is buffered will need room there.
  result.bytes_available -= std::min<std::uint64_t>(result.bytes_available, buffer_.used_bytes());
  return result;
}

Result<StatFsResult> Engine::ask_space(const CallContext& context) {
  const std::optional<Space> known = space_.with([](const auto& last) { return last; });
  std::optional<TimeLimit> limit;
  if (known) limit.emplace(config_.stat_fs_timeout);
  const auto fresh = ask<StatFsResult>(
      StatFsArgs{}, {context.caller, limit ? &limit->interrupt() : context.interrupt});
  if (known && !fresh && fresh.error().code == Errc::interrupted) return known->told;
  if (fresh) space_.with([&](auto& last) { last = Space{*fresh, clock_.now()}; });
  return fresh;
}

}  // namespace dfs
