// The calls of FileSystem about ranges of a file: allocate, seek, extents.
#include <linux/falloc.h>

#include <algorithm>

#include "common/client/data_ranges.h"
#include "common/client/engine.h"
#include "common/client/extent_loader.h"

namespace dfs {

// Space is not set aside: what is allocated is a hole that counts in the size.
// So what can be promised is that its bytes would fit now.
Result<void> Engine::check_room(InodeState& state, const FileRange& range,
                                const CallContext& context) {
  const std::uint64_t end = range.offset + range.length;
  std::uint64_t wanted = 0;
  for (;;) {
    {
      const std::lock_guard lock(state.mutex);
      if (state.gone) return fail(Errc::stale, "the file is gone");
      if (state.extents_usable_locked(end)) {
        const DataRanges data(state.dirty.ranges(), state.extents);
        wanted = range.length - data.bytes(range.offset, end);
        break;
      }
    }
    TRY(load_extents(meta_, state, end, context.interrupt));
  }
  if (wanted == 0) return {};
  const StatFsResult space = TRY(stat_fs(context));
  if (wanted > space.bytes_available) return fail(Errc::no_space, "more than there is room for");
  return {};
}

Result<void> Engine::allocate(OpenFile& file, int mode, std::uint64_t offset, std::uint64_t length,
                              const CallContext& context) {
  if (length == 0) return fail(Errc::invalid, "allocating nothing");
  if (offset > kFileSizeMax || length > kFileSizeMax - offset) return fail(Errc::file_too_big);
  const bool keep_size = (mode & FALLOC_FL_KEEP_SIZE) != 0;
  const int what = mode & ~FALLOC_FL_KEEP_SIZE;
  const bool punch = what == FALLOC_FL_PUNCH_HOLE && keep_size;
  const bool zero = what == FALLOC_FL_ZERO_RANGE;
  if (what != 0 && !punch && !zero) return fail(Errc::unsupported, "fallocate mode");

  const InodeStatePtr& state = file.state();
  Asking asking;
  TRY(await_lease(state, LeaseKind::read, {}, context, asking));
  asking.reset();
  if (!punch) TRY(check_room(*state, {offset, length}, context));
  const bool makes_hole = punch || zero;
  CommitFile change;
  change.inode = state->inode;
  {
    const std::lock_guard lock(state->mutex);
    if (state->gone) return fail(Errc::stale, "the file is gone");
    // The size may rest on buffered bytes that become a hole now.
    const std::uint64_t size = state->size_locked();
    change.size_at_least = keep_size ? size : std::max(size, offset + length);
  }
  if (makes_hole) change.holes.push_back({offset, length});
  change.mtime = clock_.wall();
  change.clear_set_id = context.caller.uid != 0;
  CommitArgs args;
  args.files.push_back(change);

  const auto apply = [this, offset, length, makes_hole, change](InodeState& target,
                                                                const MetaResult& answer) {
    const auto* result = std::get_if<CommitResult>(&answer);
    if (result == nullptr || result->attributes.empty()) {
      target.gone = true;
      target.dirty.clear();
      return;
    }
    gate_.granted(result->attributes.front());
    if (makes_hole) target.dirty.cut(offset, length);
    const bool follow = target.own_change_locked(result->attributes.front(), clock_.now());
    if (makes_hole && follow) target.extents.punch(offset, length);
    target.changed_at_locked(*change.mtime);
    if (change.clear_set_id) target.clear_set_id = false;
  };
  return change_exclusively(state, std::move(args), context, apply);
}

Result<std::optional<std::uint64_t>> Engine::seek(OpenFile& file, std::uint64_t offset, bool data,
                                                  const CallContext& context) {
  Asking asking;
  TRY(await_lease(file.state(), LeaseKind::read, {}, context, asking));
  InodeState& state = *file.state();
  for (;;) {
    std::uint64_t size = 0;
    {
      const std::lock_guard lock(state.mutex);
      if (state.gone) return fail(Errc::stale, "the file is gone");
      size = state.size_locked();
      if (offset >= size) return std::optional<std::uint64_t>{};
      if (state.extents_usable_locked(size)) {
        const DataRanges ranges(state.dirty.ranges(), state.extents);
        if (!data) return ranges.next_hole(offset, size);
        const std::uint64_t found = ranges.next_data(offset, size);
        return found < size ? std::optional(found) : std::nullopt;
      }
    }
    TRY(load_extents(meta_, state, size, context.interrupt));
  }
}

Result<std::vector<Extent>> Engine::extents(InodeId inode, const CallContext& context) {
  const InodeStatePtr state = inodes_.find_or_make(inode);
  for (;;) {
    {
      const std::lock_guard lock(state->mutex);
      if (state->opens == 0) state->forget_contents_locked();
    }
    TRY(load_extents(meta_, *state, ExtentMap::kEverything, context.interrupt));
    const std::lock_guard lock(state->mutex);
    if (state->extents_usable_locked(ExtentMap::kEverything)) {
      return state->extents.list(0, ExtentMap::kEverything);
    }
  }
}

}  // namespace dfs
