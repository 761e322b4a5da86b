// open, create, create_unnamed and close: what holds an inode for this session.
#include "common/client/engine.h"

namespace dfs {

// `state` is locked, and what it knows is current.
Opened Engine::opened_locked(const InodeStatePtr& state, const OpenOptions& options) {
  ++state->opens;
  Opened result;
  // Under a lease the pages are right whoever read them: what was not was forgotten
  // with the lease before.
  const bool under_lease = config_.leases && !pages_are_doubtful_ &&
                           freshness_.leases_decide(state->attributes.consistency) &&
                           gate_.keeps(state->inode, state->attributes.lease_order);
  result.keep_cache = (under_lease || state->pages_usable_locked()) && !options.direct;
  if (!result.keep_cache) state->pages_forgotten_locked(clock_.now());
  // Whatever is not kept is read again, and is then of this data_change.
  state->pages_change = state->attributes.data_change;
  result.was_locked_here = state->was_locked_here.load();
  result.attributes = state->merged_locked();
  result.file = std::make_shared<OpenFile>(state, options, config_.read_ahead_bytes_max);
  return result;
}

Result<Opened> Engine::open(InodeId inode, const OpenOptions& options, const CallContext& context) {
  Opened opened;
  if (auto known = open_known(inode, options)) {
    opened = *std::move(known);
  } else {
    opened = TRY(open_asking(inode, options, context));
  }
  access_times_->show(opened.attributes);
  // What is read of the pages that the kernel keeps will not come here.
  if (opened.keep_cache && options.read && !options.write && !options.truncate)
    opened.access_time_moved = accessed(opened.attributes, context);
  if (options.truncate) TRY(truncate_opened(opened.file, opened.attributes, context));
  return opened;
}

Result<Opened> Engine::open_asking(InodeId inode, const OpenOptions& options,
                                   const CallContext& context) {
  if (!context.may_wait) return fail(Errc::would_wait);
  const OpenResult answer =
      TRY(ask<OpenResult>(OpenArgs{inode, false, options.write && config_.leases}, context));
  gate_.granted(answer.attributes);
  const InodeStatePtr state = inodes_.find_or_make(inode);
  {
    const std::lock_guard lock(state->mutex);
    ++state->told_opens;
    // Under leases the name was right when it was looked up.
    const bool is_removed = answer.attributes.nlink == 0 && state->opens == 0 &&
                            (state->dropped ||
                             !freshness_.leases_decide(answer.attributes.consistency));
    if (!is_removed) {
      state->learn_opened_locked(answer, clock_.now());
      return opened_locked(state, options);
    }
    --state->told_opens;
  }
  // Somebody removed it, or put another file in its place, and the name that led
  // here is out of date: the kernel looks it up again.
  meta_.post(ReleaseArgs{inode, 1});
  return fail(Errc::stale, "the file has been removed");
}

// Truncating, like any change of the contents, is ordered with what is
// buffered; so it is a call of its own, not a part of opening.
Result<void> Engine::truncate_opened(const OpenFilePtr& file, Attributes& attributes,
                                     const CallContext& context) {
  SetAttrArgs cut;
  cut.inode = attributes.inode;
  cut.size = 0;
  cut.mtime_now = true;
  auto after = set_attributes(cut, context);
  if (!after) {
    close(file);
    return fail(after.error());
  }
  attributes = *std::move(after);
  return {};
}

Result<Created> Engine::create(InodeId parent, const std::string& name, std::uint32_t mode,
                               bool exclusive, const OpenOptions& options,
                               const CallContext& context) {
  CreateArgs args;
  args.parent = parent;
  args.name = name;
  args.mode = mode;
  args.exclusive = exclusive;
  return create_opened(std::move(args), options, context);
}

Result<Created> Engine::create_unnamed(InodeId directory, std::uint32_t mode,
                                       const OpenOptions& options, const CallContext& context) {
  CreateArgs args;
  args.parent = directory;
  args.mode = mode;
  args.unnamed = true;
  return create_opened(std::move(args), options, context);
}

Result<Created> Engine::create_opened(CreateArgs args, const OpenOptions& options,
                                      const CallContext& context) {
  args.umask = context.umask;
  args.open = true;
  const InodeId directory = args.parent;
  const std::string name = args.name;
  const bool unnamed = args.unnamed;
  const OpenResult answer = TRY(change<OpenResult>(std::move(args), context));
  learn(answer.parent);
  if (answer.created && !unnamed) learn_name(directory, name, answer.attributes.inode, answer.parent);
  gate_.granted(answer.attributes);

  const InodeStatePtr state = inodes_.find_or_make(answer.attributes.inode);
  Opened opened;
  {
    const std::lock_guard lock(state->mutex);
    state->learn_opened_locked(answer, clock_.now());
    ++state->told_opens;
    opened = opened_locked(state, options);
    if (answer.created) {
      state->history_known = true;
      state->kernel_change = state->attributes.data_change;  // the answer tells it
    }
  }
  access_times_->show(opened.attributes);
  if (!answer.created && options.truncate) {
    TRY(truncate_opened(opened.file, opened.attributes, context));
  }
  return Created{opened.file, opened.attributes, answer.created};
}

void Engine::close(OpenFilePtr file) {
  InodeState& state = *file->state();
  bool dirty = false;
  std::uint32_t told = 0;
  {
    const std::lock_guard lock(state.mutex);
    --state.opens;
    if (state.rewrites) state.stop_rewriting_locked();
    told = state.take_overtold_locked();
    // Without a name and without a user nobody will read it again.
    if (state.attributes.nlink == 0) {
      state.drop_unsent_locked();
      if (state.opens == 0) gate_.gone(state.inode);
    }
    dirty = !state.dirty.empty();
  }
  release_locks_of(*file, file->state(), dirty);
  if (told > 0) meta_.post(ReleaseArgs{state.inode, told});
  if (dirty) write_back_.kick();
}

}  // namespace dfs
