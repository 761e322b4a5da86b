// The calls of FileSystem that move bytes.
#include <algorithm>

#include "common/client/engine.h"
#include "common/rpc/operation_table.h"

namespace dfs {
namespace {

// Programs other than root lose the set-id bits of what they write to.
bool clears_set_id(const Attributes& attributes, const Caller& caller) {
  if (caller.uid == 0) return false;
  const bool set_gid = (attributes.mode & 02010U) == 02010U;
  return (attributes.mode & 04000U) != 0 || set_gid;
}

// A write may be on its way from the kernel for this long after it was put into
// pages. If these have been forgotten meanwhile, and read again from before it, they
// would stay so.
constexpr std::chrono::seconds kQueuedMost{1};
constexpr std::uint64_t kPage = 4096;

// While it waits for a write, the kernel locks a page that is not filled by it.
bool locks_a_page(const OpenFile& file, std::uint64_t offset, std::uint64_t length) {
  const bool fills = offset % kPage == 0 && length % kPage == 0;
  return !fills && file.locked_pages({offset, length}).length > 0;
}

// Where an append goes: where the same one went that a former process did not come
// to answer, if it did that.
std::uint64_t end_for(const InodeState& state, const Caller& caller) {
  if (caller.operation != nullptr) {
    const OperationId& operation = caller.operation->id();
    if (operation.table != nullptr) {
      const auto noted = operation.table->noted(operation.number);
      if (noted && noted->inode == state.inode.value()) return noted->offset;
    }
  }
  return state.size_locked();
}

void note_end(const InodeState& state, const Caller& caller, std::uint64_t offset) {
  if (caller.operation == nullptr) return;
  const OperationId& operation = caller.operation->id();
  if (operation.table != nullptr)
    operation.table->note(operation.number, {state.inode.value(), offset});
}

Result<void> await_change(std::unique_lock<std::mutex>& lock, InodeState& state,
                          const WaitLimits& until) {
  const Wake wake =
      wait_until(lock, state.changed, until, [&state] { return !state.holds_writes; });
  if (wake == Wake::interrupted) return fail(Errc::interrupted, "waiting for an earlier change");
  if (wake == Wake::expired) return fail(Errc::timed_out, "an earlier change is not answered");
  return {};
}

}  // namespace

Result<std::size_t> Engine::read(OpenFile& file, std::uint64_t offset, MutableBuffer into,
                                 const CallContext& context) {
  Asking asking;
  TRY(await_lease(file.state(), LeaseKind::read, file.locked_pages({offset, into.size()}),
                  context, asking));
  const auto bytes = files_.read(file, offset, into, context.interrupt);
  if (bytes) accessed(*file.state(), context);
  return bytes;
}

// A write on its way into the buffer.
struct Engine::Write {
  SteadyTime begun;
  std::uint64_t offset = 0;
  BufferView data;
  BlockList fresh;         // memory taken for it
  std::size_t needed = 0;  // blocks of it
  bool was_clean = false;  // nothing was buffered before
  bool sealed = false;     // a chunk became full
  bool pages_are_old = false;  // what the kernel has in its pages is not this
};

Result<Engine::Attempt> Engine::try_write(InodeState& state, Write& write,
                                          const WaitLimits& until, const CallContext& context) {
  std::unique_lock lock(state.mutex);
  TRY(await_change(lock, state, until));
  if (state.gone) return fail(Errc::stale, "the file is gone");
  if (state.error) return fail(*state.take_error_locked());
  if (!has_lease_locked(state, LeaseKind::write)) return Attempt::needs_lease;

  if (context.append) write.offset = end_for(state, context.caller);
  if (write.data.size() > kFileSizeMax - write.offset) return fail(Errc::file_too_big);
  const std::uint32_t chunk_size = chunk_size_locked(state);
  write.needed = state.dirty.blocks_needed(write.offset, write.data.size(), chunk_size);
  if (write.needed > buffer_.blocks_max() / 2)
    return fail(Errc::invalid, "more in one write than the write buffer takes");
  if (write.needed > 0 && !buffer_.try_take(write.needed, write.fresh)) return Attempt::needs_room;

  if (context.append) note_end(state, context.caller, write.offset);
  std::vector<PendingChunkPtr> sealed;
  write.was_clean = state.dirty.empty();
  if (write.was_clean && !state.rewrites) state.commit_only_after.reset();  // of other bytes
  state.dirty_mtime = state.rewrites ? state.rewrites->mtime : clock_.wall();
  if (state.rewrites ? state.rewrites->clear_set_id
                     : clears_set_id(state.attributes, context.caller))
    state.clear_set_id = true;
  state.dirty.set_facts(state.unsent_facts_locked());
  state.dirty.write(write.offset, write.data, chunk_size, clock_.now(), write.fresh, sealed);
  write.sealed = !sealed.empty();
  if (state.pages_forgotten_at && write.begun - *state.pages_forgotten_at < kQueuedMost)
    write.pages_are_old = true;
  return Attempt::written;
}

Result<void> Engine::write(OpenFile& file, std::uint64_t offset, BufferView data,
                           const CallContext& context) {
  if (data.empty()) return {};
  if (offset > kFileSizeMax || data.size() > kFileSizeMax - offset) return fail(Errc::file_too_big);
  const InodeStatePtr& state = file.state();
  const WaitLimits until = limits(context);
  Write write{.begun = clock_.now(), .offset = offset, .data = data, .fresh = BlockList(buffer_)};
  Asking asking;
  for (;;) {
    if (write_back_.full()) return fail(Errc::no_space, "the storage servers are full");
    TRY(await_log_room(until));
    const Attempt attempt = TRY(try_write(*state, write, until, context));
    asking.reset();
    if (attempt == Attempt::written) break;
    if (attempt == Attempt::needs_room) {
      TRY(await_room(write.needed, until));
      continue;
    }
    const bool lost = TRY(await_lease(state, LeaseKind::write,
                                      file.locked_pages({offset, data.size()}), context,
                                      asking));
    write.pages_are_old = write.pages_are_old || lost;
  }
  if (write.was_clean) write_back_.wrote(state);
  if (write.sealed) write_back_.kick();
  // The kernel has put the bytes where it took the end to be, or between what
  // others have changed since.
  if (write.pages_are_old || write.offset != offset) {
    const std::uint64_t from = std::min(write.offset, offset);
    const std::uint64_t to = std::max(write.offset, offset) + data.size();
    // Who reads here believes the kernel's idea of the size, which it would take from
    // where it thought the end was.
    const bool moved = write.offset != offset;
    keeper_.forget_pages_soon(state->inode, {from, to - from},
                              moved ? std::optional(LastByte{write.offset + data.size() - 1,
                                                             data.back()})
                                    : std::nullopt,
                              locks_a_page(file, offset, data.size())
                                  ? LeaseKeeper::Locks::some
                                  : LeaseKeeper::Locks::none);
  }
  TRY(make_lasting(state, context));
  return finish_write_through(state, context);
}

// What the log cannot take is on stable media of the servers instead.
Result<void> Engine::make_lasting(const InodeStatePtr& state, const CallContext& context) {
  if (log_ == nullptr || log_->make_stable()) return {};
  return write_back_.fsync(state, context.interrupt);
}

Result<void> Engine::await_log_room(const WaitLimits& until) {
  if (log_ == nullptr || log_->has_room()) return {};
  write_back_.kick();
  switch (log_->wait_for_room(until)) {
    case Wake::ready:
      return {};
    case Wake::interrupted:
      return fail(Errc::interrupted, "waiting for room in the journal");
    case Wake::expired:
      return fail(Errc::timed_out, "the journal is full and the servers do not answer");
  }
  return {};
}

Result<void> Engine::await_room(std::size_t blocks, const WaitLimits& until) {
  write_back_.kick();
  switch (buffer_.wait_for_room(blocks, until)) {
    case Wake::ready:
      return {};
    case Wake::interrupted:
      return fail(Errc::interrupted, "waiting for room in the write buffer");
    case Wake::expired:
      return fail(Errc::timed_out, "the write buffer is full and the servers do not answer");
  }
  return {};
}

Result<void> Engine::flush(OpenFile& file, const CallContext& context) {
  const InodeStatePtr& state = file.state();
  {
    const std::lock_guard lock(state->mutex);
    // What a reader closes is none of its business; what has no name left
    // can be opened by nobody else.
    const bool nothing_to_do = !file.options().write || state->attributes.nlink == 0 ||
                               state->dirty.empty();
    if (nothing_to_do) {
      if (!state->error || !file.options().write) return {};
      return fail(*state->take_error_locked());
    }
  }
  if (may_leave_unsent(*state, context)) {
    write_back_.kick();
    return {};
  }
  if (!context.may_wait) return fail(Errc::would_wait);
  return write_back_.flush(state, context.interrupt);
}

Result<void> Engine::fsync(OpenFile& file, const CallContext& context) {
  return write_back_.fsync(file.state(), context.interrupt);
}

Result<void> Engine::fsync_directory(InodeId, const CallContext& context) {
  TRY(ask<EmptyResult>(SyncArgs{}, context));
  return {};
}

}  // namespace dfs
