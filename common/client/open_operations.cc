// open, create and close: what holds an inode for this session.
#include "common/client/engine.h"

namespace dfs {

// `state` is locked; the server counts one more hold.
Opened Engine::opened_locked(const InodeStatePtr& state, const OpenOptions& options,
                             const OpenResult& answer) {
  state->learn_opened_locked(answer, clock_.now());
  ++state->opens;
  Opened result;
  result.keep_cache = state->pages_usable_locked() && !options.direct;
  // Whatever is not kept is read again, and is then of this data_change.
  state->pages_change = state->attributes.data_change;
  result.attributes = state->merged_locked();
  result.file = std::make_shared<OpenFile>(state, options, config_.read_ahead_bytes_max);
  return result;
}

Result<Opened> Engine::open(InodeId inode, const OpenOptions& options, const CallContext& context) {
  const InodeStatePtr state = inodes_.find_or_make(inode);
  if (options.truncate) return open_truncated(state, options, context);

  Result<Opened> opened = fail(Errc::bad_message, "an open was answered by something else");
  const auto settle = [&opened, &options, this, state](const Result<MetaResult>& answer,
                                                       LateCalls::Arrival arrival) {
    if (!answer) return;
    if (arrival == LateCalls::Arrival::late) {
      meta_.post(ReleaseArgs{state->inode, 1});
      return;
    }
    const auto* result = std::get_if<OpenResult>(&*answer);
    if (result == nullptr) return;
    const std::lock_guard lock(state->mutex);
    opened = opened_locked(state, options, *result);
  };
  TRY(late_.call(meta_, OpenArgs{inode, false}, context.caller, context.interrupt, settle));
  return opened;
}

// Truncating, like any change of the contents, has the inode to itself.
Result<Opened> Engine::open_truncated(const InodeStatePtr& state, const OpenOptions& options,
                                      const CallContext& context) {
  TRY(write_back_.begin_exclusive(*state, context.interrupt));
  Result<Opened> opened = fail(Errc::bad_message, "an open was answered by something else");
  const auto settle = [&opened, &options, this, state](const Result<MetaResult>& answer,
                                                       LateCalls::Arrival arrival) {
    meta_sync_.changed();
    const auto* result = answer ? std::get_if<OpenResult>(&*answer) : nullptr;
    if (result != nullptr) {
      const std::lock_guard lock(state->mutex);
      apply_size_locked(*state, 0, result->attributes, clock_.now());
      state->dirty_mtime.reset();
      if (arrival == LateCalls::Arrival::in_time) opened = opened_locked(state, options, *result);
    }
    write_back_.end_exclusive(*state);
    if (answer && arrival == LateCalls::Arrival::late) meta_.post(ReleaseArgs{state->inode, 1});
  };
  TRY(late_.call(meta_, OpenArgs{state->inode, true}, context.caller, context.interrupt, settle));
  return opened;
}

Result<Created> Engine::create(InodeId parent, const std::string& name, std::uint32_t mode,
                               bool exclusive, const OpenOptions& options,
                               const CallContext& context) {
  CreateArgs args;
  args.parent = parent;
  args.name = name;
  args.mode = mode;
  args.exclusive = exclusive;
  args.open = true;
  // A file that is there already may have bytes buffered here: it is
  // truncated by an open of its own, which is ordered with them.
  args.truncate = false;

  Result<Created> created = fail(Errc::bad_message, "a create was answered by something else");
  const auto settle = [&created, &options, this](const Result<MetaResult>& answer,
                                                 LateCalls::Arrival arrival) {
    meta_sync_.changed();
    const auto* result = answer ? std::get_if<OpenResult>(&*answer) : nullptr;
    if (result == nullptr) return;
    if (arrival == LateCalls::Arrival::late) {
      meta_.post(ReleaseArgs{result->attributes.inode, 1});
      return;
    }
    learn(result->parent);
    const InodeStatePtr state = inodes_.find_or_make(result->attributes.inode);
    const std::lock_guard lock(state->mutex);
    const Opened opened = opened_locked(state, options, *result);
    if (result->created) state->history_known = true;
    created = Created{opened.file, opened.attributes, result->created};
  };
  TRY(late_.call(meta_, std::move(args), context.caller, context.interrupt, settle));
  const bool to_truncate = created && !created->created && options.truncate &&
                           created->attributes.type == FileType::regular &&
                           created->attributes.size > 0;
  if (!to_truncate) return created;

  SetAttrArgs cut;
  cut.inode = created->attributes.inode;
  cut.size = 0;
  auto attributes = set_attributes(cut, context);
  if (!attributes) {
    close(created->file);
    return fail(attributes.error());
  }
  created->attributes = *std::move(attributes);
  return created;
}

void Engine::close(OpenFilePtr file) {
  InodeState& state = *file->state();
  bool dirty = false;
  {
    const std::lock_guard lock(state.mutex);
    --state.opens;
    // Without a name and without a user nobody will read it again.
    if (state.opens == 0 && state.attributes.nlink == 0) state.dirty.clear();
    dirty = !state.dirty.empty();
  }
  meta_.post(ReleaseArgs{state.inode, 1});
  if (dirty) write_back_.kick();
}

}  // namespace dfs
