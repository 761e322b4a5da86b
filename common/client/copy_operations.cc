// The call of FileSystem that copies a range without moving bytes.
#include <algorithm>
#include <memory>

#include "common/client/engine.h"

namespace dfs {

// What is buffered of the source has no chunk yet that another file could name.
Result<void> Engine::commit_source(const InodeStatePtr& state, const CallContext& context) {
  {
    const std::lock_guard lock(state->mutex);
    if (state->gone) return fail(Errc::stale, "the file is gone");
    if (state->dirty.empty()) return {};
  }
  const Result<void> flushed = write_back_.flush(state, context.interrupt);
  if (flushed) return {};
  const Errc code = flushed.error().code;
  const bool may_pass = code == Errc::interrupted || code == Errc::session_lost || is_retryable(code);
  if (!may_pass) {
    // It belongs to whoever has written, and has not been told to him yet.
    const std::lock_guard lock(state->mutex);
    state->keep_error_locked(flushed.error());
  }
  return flushed;
}

Result<std::uint64_t> Engine::copy_range(OpenFile& from, OpenFile& to, const CopyRange& range,
                                         const CallContext& context) {
  if (range.length == 0) return 0;
  if (range.to > kFileSizeMax || range.length > kFileSizeMax - range.to) {
    return fail(Errc::file_too_big);
  }
  TRY(commit_source(from.state(), context));

  CloneArgs args;
  args.source = from.state()->inode;
  args.source_offset = range.from;
  args.inode = to.state()->inode;
  args.offset = range.to;
  args.length = std::min(range.length, kFileSizeMax - std::min(range.from, kFileSizeMax));
  args.mtime = clock_.wall();
  args.clear_set_id = context.caller.uid != 0;
  if (args.length == 0) return 0;

  // Shared: an answer may come when this call has been given up.
  const auto copied = std::make_shared<std::optional<std::uint64_t>>();
  const auto apply = [this, args, copied](InodeState& target, const MetaResult& answer) {
    const auto* result = std::get_if<CloneResult>(&answer);
    if (result == nullptr) return;
    *copied = result->length;
    if (result->length == 0) return;
    gate_.granted(result->attributes);
    target.dirty.cut(args.offset, result->length);
    target.own_change_locked(result->attributes, clock_.now());
    target.chunks_unknown_locked();
    target.changed_at_locked(args.mtime);
    if (args.clear_set_id) target.clear_set_id = false;
  };
  TRY(change_exclusively(to.state(), args, context, apply));
  if (!*copied) return fail(Errc::bad_message, "a clone was answered by something else");
  accessed(*from.state(), context);
  return **copied;
}

}  // namespace dfs
