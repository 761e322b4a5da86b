// The calls of FileSystem about ranges of a file: allocate, seek, extents.
#include <linux/falloc.h>

#include <algorithm>

#include "common/client/engine.h"
#include "common/client/extent_loader.h"

namespace dfs {
namespace {

// The first offset >= `from` that holds data (`data`) or does not, below `size`.
std::optional<std::uint64_t> first_locked(const InodeState& state, std::uint64_t from,
                                          std::uint64_t size, bool data) {
  // The union of two sorted lists of ranges, walked from both.
  std::vector<FileRange> ranges;
  state.dirty.ranges().visit(from, size - from, [&](const DirtyFile::Range& range) {
    ranges.push_back({range.offset, range.length});
  });
  state.extents.visit(from, size - from, [&](const ExtentMap::Range& range) {
    ranges.push_back({range.offset, range.length});
  });
  std::sort(ranges.begin(), ranges.end(),
            [](const FileRange& a, const FileRange& b) { return a.offset < b.offset; });
  if (data) {
    if (ranges.empty()) return std::nullopt;
    return ranges.front().offset;
  }
  std::uint64_t hole = from;
  for (const FileRange& range : ranges) {
    if (range.offset > hole) break;
    hole = std::max(hole, range.offset + range.length);
  }
  return std::min(hole, size);
}

}  // namespace

// Space is not set aside: a range that is allocated is a hole that counts in
// the size. So a later write may still find the servers full.
Result<void> Engine::allocate(OpenFile& file, int mode, std::uint64_t offset, std::uint64_t length,
                              const CallContext& context) {
  if (length == 0) return fail(Errc::invalid, "allocating nothing");
  if (offset > kFileSizeMax || length > kFileSizeMax - offset) return fail(Errc::file_too_big);
  const bool keep_size = (mode & FALLOC_FL_KEEP_SIZE) != 0;
  const int what = mode & ~FALLOC_FL_KEEP_SIZE;
  const bool punch = what == FALLOC_FL_PUNCH_HOLE && keep_size;
  const bool zero = what == FALLOC_FL_ZERO_RANGE;
  if (what != 0 && !punch && !zero) return fail(Errc::unsupported, "fallocate mode");
  if (what == 0 && keep_size) return {};

  const InodeStatePtr& state = file.state();
  const bool makes_hole = punch || zero;
  CommitArgs args;
  CommitFile change;
  change.inode = state->inode;
  {
    const std::lock_guard lock(state->mutex);
    if (state->gone) return fail(Errc::stale, "the file is gone");
    const std::uint64_t size = state->size_locked();
    if (!makes_hole && offset + length <= size) return {};
    // The size may rest on buffered bytes that become a hole now.
    change.size_at_least = keep_size ? size : std::max(size, offset + length);
  }
  if (makes_hole) change.holes.push_back({offset, length});
  change.mtime = clock_.wall();
  args.files.push_back(change);

  const auto apply = [this, offset, length, makes_hole](InodeState& target,
                                                        const MetaResult& answer) {
    const auto* result = std::get_if<CommitResult>(&answer);
    if (result == nullptr || result->attributes.empty()) {
      target.gone = true;
      target.dirty.clear();
      return;
    }
    const bool follow = target.own_change_locked(result->attributes.front(), clock_.now());
    if (!makes_hole) return;
    if (follow) target.extents.punch(offset, length);
    target.dirty.cut(offset, length);
  };
  return change_exclusively(state, std::move(args), context, apply);
}

Result<std::optional<std::uint64_t>> Engine::seek(OpenFile& file, std::uint64_t offset, bool data,
                                                  const CallContext& context) {
  InodeState& state = *file.state();
  for (;;) {
    std::uint64_t size = 0;
    {
      const std::lock_guard lock(state.mutex);
      if (state.gone) return fail(Errc::stale, "the file is gone");
      size = state.size_locked();
      if (offset >= size) return std::optional<std::uint64_t>{};
      if (state.extents_usable_locked(size)) return first_locked(state, offset, size, data);
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
