#include "common/client/write_back.h"

#include <algorithm>
#include <utility>

#include "common/client/wait.h"

namespace dfs {
namespace {

// Uploaded chunks of one file that are committed together while more of its
// chunks are still on their way.
constexpr std::size_t kCommitBatch = 8;
constexpr std::chrono::milliseconds kCommitPause{50};

}  // namespace

WriteBack::WriteBack(const Parts& parts)
    : parts_(parts),
      allocator_(parts.meta, parts.clock),
      committer_(parts.meta, parts.clock, parts.meta_sync),
      syncer_(parts.storage, parts.health, parts.clock),
      writer_({parts.meta, parts.storage, allocator_, parts.health, parts.clock, parts.config},
              [this](const InodeStatePtr&, const PendingChunkPtr&) { settled(); }),
      thread_([this] { run(); }) {}

WriteBack::~WriteBack() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_.interrupt();
  wake_.notify_all();
  thread_.join();
}

void WriteBack::wrote(const InodeStatePtr& state) {
  dirty_.with([&](auto& table) { table.emplace(state->inode, state); });
  kick();
}

void WriteBack::kick() {
  const std::lock_guard lock(mutex_);
  if (kicked_) return;
  kicked_ = true;
  wake_.notify_all();
}

void WriteBack::settled() { kick(); }

Result<void> WriteBack::flush(const InodeStatePtr& state, Interrupt* interrupt) {
  Target target;
  {
    const std::lock_guard lock(state->mutex);
    std::vector<PendingChunkPtr> sealed;
    state->dirty.seal(SteadyTime::max(), sealed);
    target.serial = state->dirty.last_serial();
  }
  return drive(state, target, interrupt);
}

Result<void> WriteBack::flush_all(Interrupt* interrupt) {
  const std::vector<InodeStatePtr> states = dirty_states();
  for (const InodeStatePtr& state : states) {
    const std::lock_guard lock(state->mutex);
    std::vector<PendingChunkPtr> sealed;
    state->dirty.seal(SteadyTime::max(), sealed);
  }
  kick();
  Result<void> result;
  for (const InodeStatePtr& state : states) {
    const Result<void> flushed = flush(state, interrupt);
    if (!flushed && flushed.error().code == Errc::interrupted) return flushed;
    if (!flushed && result) result = flushed;
  }
  return result;
}

WriteBack::Step WriteBack::next_step_locked(InodeState& state, const Target& target,
                                            PendingChunkPtr& to_upload,
                                            std::optional<SteadyTime>& wake_at) const {
  if (state.error) return Step::failed;
  const SteadyTime now = parts_.clock.now();
  const bool may_upload = writer_.in_flight() < parts_.config.uploads_max;
  std::size_t uploaded = 0;
  std::size_t before_that = 0;  // chunks that are not uploaded yet
  bool any_uploading = false;
  wake_at.reset();
  for (const PendingChunkPtr& chunk : state.dirty.chunks()) {
    if (chunk->serial > target.serial) continue;
    if (chunk->phase == ChunkPhase::uploaded) {
      ++uploaded;
      continue;
    }
    ++before_that;
    any_uploading = any_uploading || chunk->phase == ChunkPhase::uploading;
    if (chunk->phase != ChunkPhase::sealed) continue;
    if (chunk->upload.not_before > now) {
      wake_at = wake_at ? std::min(*wake_at, chunk->upload.not_before) : chunk->upload.not_before;
    } else if (to_upload == nullptr) {
      to_upload = chunk;
    }
  }
  if (before_that == 0 && (uploaded == 0 || target.goal == Goal::uploaded)) return Step::finished;
  // One upload of the file is always allowed, however many others there are.
  if (to_upload != nullptr && (may_upload || !any_uploading)) return Step::upload;
  to_upload.reset();
  const bool worth_it = before_that == 0 || uploaded >= kCommitBatch;
  const bool may_commit = target.goal == Goal::committed && !state.exclusive;
  if (uploaded > 0 && worth_it && may_commit) return Step::commit;
  return Step::wait;
}

Result<void> WriteBack::drive(const InodeStatePtr& state, Target target, Interrupt* interrupt) {
  std::unique_lock lock(state->mutex);
  ++state->flushers;
  Result<void> result;
  for (;;) {
    PendingChunkPtr chunk;
    std::optional<SteadyTime> wake_at;
    const Step step = next_step_locked(*state, target, chunk, wake_at);
    if (step == Step::finished) break;
    if (step == Step::failed) {
      result = fail(*state->take_error_locked());
      break;
    }
    if (step == Step::upload) {
      chunk->phase = ChunkPhase::uploading;
      lock.unlock();
      writer_.start(state, chunk, interrupt);
      const bool interrupted = interrupt != nullptr && interrupt->interrupted();
      lock.lock();
      if (interrupted) {
        result = fail(Errc::interrupted, "uploading");
        break;
      }
      continue;
    }
    if (step == Step::commit) {
      lock.unlock();
      result = commit_step(state, target, interrupt);
      lock.lock();
      if (!result) break;
      continue;
    }
    const Wake wake = wait_until(lock, state->changed, {parts_.clock, interrupt, wake_at}, [&] {
      PendingChunkPtr ignored_chunk;
      std::optional<SteadyTime> ignored_time;
      return next_step_locked(*state, target, ignored_chunk, ignored_time) != Step::wait;
    });
    if (wake == Wake::interrupted) {
      result = fail(Errc::interrupted, "waiting for the servers");
      break;
    }
  }
  --state->flushers;
  const bool rest = !state->dirty.empty();
  lock.unlock();
  if (rest) kick();
  return result;
}

// Ok: look again. The pause after an error that may pass is taken here.
Result<void> WriteBack::commit_step(const InodeStatePtr& state, Target& target,
                                    Interrupt* interrupt) {
  const auto outcome = committer_.commit(state, target.mode, target.extra, interrupt);
  if (outcome) {
    if (outcome->sent) target.extra.clear();
    return {};
  }
  const Errc code = outcome.error().code;
  if (code == Errc::busy) return {};  // the state says when it is over
  const bool soft = parts_.config.soft_timeout.count() > 0;
  if (!is_retryable(code) || soft) return fail(outcome.error());

  std::unique_lock lock(state->mutex);
  const SteadyTime until = parts_.clock.now() + kCommitPause;
  const Wake wake = wait_until(lock, state->changed, {parts_.clock, interrupt, until},
                               [] { return false; });
  if (wake == Wake::interrupted) return fail(Errc::interrupted, "waiting to commit");
  return {};
}

Result<void> WriteBack::begin_exclusive(InodeState& state, Interrupt* interrupt) {
  std::unique_lock lock(state.mutex);
  const Wake wake = wait_until(lock, state.changed, {parts_.clock, interrupt, std::nullopt},
                               [&] { return !state.exclusive; });
  if (wake == Wake::interrupted) return fail(Errc::interrupted, "waiting for a commit");
  state.exclusive = true;
  return {};
}

void WriteBack::end_exclusive(InodeState& state) {
  {
    const std::lock_guard lock(state.mutex);
    state.exclusive = false;
    state.changed.notify_all();
  }
  kick();
}

}  // namespace dfs
