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

void set_changed_by_locked(InodeState& state, std::uint64_t operation) {
  UnsentFacts facts = state.dirty.facts();
  facts.changed_by = operation;
  state.dirty.set_facts(facts);
}

}  // namespace

WriteBack::WriteBack(const Parts& parts)
    : parts_(parts),
      allocator_(parts.meta, parts.clock),
      committer_(parts.meta, parts.clock, parts.meta_sync, parts.gate),
      syncer_(parts.storage, parts.health),
      writer_({parts.meta, parts.storage, allocator_, parts.health, parts.clock, parts.config},
              [this](const InodeStatePtr& state, const PendingChunkPtr&) { settled(*state); }),
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
  // The thread looks often enough for what has just become dirty: waking it for
  // each small write would cost more than the write.
  dirty_.with([&](auto& table) { table.emplace(state->inode, state); });
}

void WriteBack::kick() {
  const std::lock_guard lock(mutex_);
  if (kicked_) return;
  kicked_ = true;
  wake_.notify_all();
}

void WriteBack::settled(InodeState& state) {
  // Whoever waits for the file moves it along himself.
  bool attended = false;
  {
    const std::lock_guard lock(state.mutex);
    attended = state.flushers > 0;
  }
  if (!attended) kick();
}

Result<void> WriteBack::flush(const InodeStatePtr& state, Interrupt* interrupt,
                              KeptError kept_error) {
  Target target;
  target.kept_error = kept_error;
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

FileSystem::Unsent WriteBack::unsent() const {
  FileSystem::Unsent result;
  for (const InodeStatePtr& state : dirty_states()) {
    const std::lock_guard lock(state->mutex);
    const std::uint64_t bytes = state->dirty.ranges().bytes();
    if (bytes == 0) continue;
    result.bytes += bytes;
    result.files.push_back(state->inode);
  }
  std::sort(result.files.begin(), result.files.end());
  return result;
}

WriteBack::Next WriteBack::next_locked(InodeState& state, const Target& target) const {
  Next next;
  if (state.error) {
    next.step = Step::failed;
    return next;
  }
  const SteadyTime now = parts_.clock.now();
  const std::size_t in_flight = writer_.in_flight();
  std::size_t may_start =
      parts_.config.uploads_max > in_flight ? parts_.config.uploads_max - in_flight : 0;
  std::size_t uploaded = 0;
  std::size_t before_that = 0;  // chunks that are not uploaded yet
  PendingChunkPtr ready;
  for (const PendingChunkPtr& chunk : state.dirty.chunks()) {
    if (chunk->serial > target.serial) continue;
    if (chunk->phase == ChunkPhase::uploaded) {
      ++uploaded;
      continue;
    }
    ++before_that;
    next.uploading = next.uploading || chunk->phase == ChunkPhase::uploading;
    if (chunk->phase != ChunkPhase::sealed) continue;
    const SteadyTime not_before = chunk->upload.not_before;
    if (not_before > now) {
      next.wake_at = next.wake_at ? std::min(*next.wake_at, not_before) : not_before;
      continue;
    }
    if (ready == nullptr) ready = chunk;
    if (may_start > 0) {
      --may_start;
      next.to_upload.push_back(chunk);
    }
  }
  // One upload of the file is always allowed, however many others there are.
  if (next.to_upload.empty() && !next.uploading && ready != nullptr) next.to_upload.push_back(ready);

  const bool to_tell =
      target.goal == Goal::committed && (uploaded > 0 || !target.extra.empty());
  const bool worth_it = before_that == 0 || uploaded >= kCommitBatch;
  if (before_that == 0 && !to_tell) next.step = Step::finished;
  else if (!next.to_upload.empty()) next.step = Step::upload;
  else if (to_tell && worth_it && !state.exclusive) next.step = Step::commit;
  else next.step = Step::wait;
  return next;
}

Result<void> WriteBack::drive(const InodeStatePtr& state, Target target, Interrupt* interrupt) {
  const Attended attended(*this, *state);
  // A connection to be run while waiting for uploads.
  std::shared_ptr<StorageClient> connection;
  std::unique_lock lock(state->mutex);
  for (;;) {
    const Next next = next_locked(*state, target);
    const std::uint64_t seen = state->progress.load(std::memory_order_acquire);
    switch (next.step) {
      case Step::finished:
        return {};
      case Step::failed:
        if (target.kept_error == KeptError::leave) return fail(*state->error);
        return fail(*state->take_error_locked());
      case Step::commit:
        lock.unlock();
        TRY(commit_step(state, target, interrupt));
        lock.lock();
        continue;
      case Step::upload:
        for (const PendingChunkPtr& chunk : next.to_upload) chunk->phase = ChunkPhase::uploading;
        lock.unlock();
        connection = upload_step(state, next.to_upload, seen, interrupt);
        lock.lock();
        break;
      case Step::wait:
        if (connection != nullptr && next.uploading) {
          lock.unlock();
          const auto finished = [&] {
            return state->progress.load(std::memory_order_acquire) != seen ||
                   (next.wake_at && parts_.clock.now() >= *next.wake_at);
          };
          connection->attend([] {}, finished, interrupt);
          lock.lock();
        } else {
          wait_until(lock, state->changed, {parts_.clock, interrupt, next.wake_at}, [&] {
            return state->progress.load(std::memory_order_relaxed) != seen;
          });
        }
        break;
    }
    if (interrupt != nullptr && interrupt->interrupted()) {
      const Step step = next_locked(*state, target).step;
      if (step != Step::finished) return fail(Errc::interrupted, "waiting for the servers");
    }
  }
}

// Sends the chunks and waits until the first of them has got somewhere.
std::shared_ptr<StorageClient> WriteBack::upload_step(const InodeStatePtr& state,
                                                      const std::vector<PendingChunkPtr>& chunks,
                                                      std::uint64_t seen, Interrupt* interrupt) {
  std::vector<ChunkWriter::PreparedPtr> prepared;
  for (const PendingChunkPtr& chunk : chunks) {
    if (auto one = writer_.prepare(state, chunk, interrupt)) prepared.push_back(std::move(one));
  }
  if (prepared.empty()) return nullptr;
  const std::shared_ptr<StorageClient> connection = ChunkWriter::connection(*prepared.front());
  const auto start = [&] {
    for (const auto& one : prepared) writer_.send(one);
  };
  const auto finished = [&] { return state->progress.load(std::memory_order_acquire) != seen; };
  connection->attend(start, finished, interrupt);
  return connection;
}

WriteBack::Attended::Attended(WriteBack& write_back, InodeState& state)
    : write_back_(write_back), state_(state) {
  const std::lock_guard lock(state_.mutex);
  ++state_.flushers;
}

WriteBack::Attended::~Attended() {
  bool rest = false;
  {
    const std::lock_guard lock(state_.mutex);
    // Another who attends to the file sees to the rest.
    rest = --state_.flushers == 0 && !state_.dirty.empty();
  }
  if (rest) write_back_.kick();
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
  // A lost session is followed by a new one, in which the same commit is right.
  const bool may_pass = is_retryable(code) || code == Errc::session_lost;
  if (!may_pass || soft) return fail(outcome.error());

  std::unique_lock lock(state->mutex);
  const SteadyTime until = parts_.clock.now() + kCommitPause;
  const Wake wake = wait_until(lock, state->changed, {parts_.clock, interrupt, until},
                               [] { return false; });
  if (wake == Wake::interrupted) return fail(Errc::interrupted, "waiting to commit");
  return {};
}

Result<void> WriteBack::begin_exclusive(InodeState& state, std::uint64_t operation,
                                        Interrupt* interrupt) {
  std::unique_lock lock(state.mutex);
  const Wake wake = wait_until(lock, state.changed, {parts_.clock, interrupt, std::nullopt},
                               [&] {
                                 return !state.exclusive ||
                                        (operation != 0 && state.awaits_operation == operation);
                               });
  if (wake == Wake::interrupted) return fail(Errc::interrupted, "waiting for a commit");
  state.exclusive = true;
  state.holds_writes = true;
  state.awaits_operation = 0;
  set_changed_by_locked(state, operation);
  return {};
}

void WriteBack::end_exclusive(InodeState& state) {
  {
    const std::lock_guard lock(state.mutex);
    state.exclusive = false;
    state.holds_writes = false;
    state.awaits_operation = 0;
    set_changed_by_locked(state, 0);
    state.notify_locked();
  }
  kick();
}

}  // namespace dfs
