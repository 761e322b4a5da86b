// The background half of WriteBack: one thread that looks at the files with
// bytes to send whenever something happened, and now and then.
#include "common/client/write_back.h"

#include "common/base/log.h"
#include "common/client/client_metrics.h"
#include "common/client/wait.h"

namespace dfs {
namespace {

// Between two looks while there is something to send: small against
// flush_interval and the pauses of retries.
constexpr std::chrono::milliseconds kLook{20};
// The same while there is nothing: small against flush_interval, rare enough
// to cost nothing.
constexpr std::chrono::milliseconds kIdleLook{200};

struct Found {
  std::vector<std::pair<InodeStatePtr, PendingChunkPtr>> to_upload;
  std::vector<InodeStatePtr> to_commit;
  std::optional<SteadyTime> oldest;
  bool waiting_for_servers = false;  // something sealed or on its way
};

void look_at(const InodeStatePtr& state, SteadyTime now, SteadyTime seal_until, Found& found) {
  const std::lock_guard lock(state->mutex);
  std::vector<PendingChunkPtr> sealed;
  state->dirty.seal(seal_until, sealed);
  bool uploaded = false;
  for (const PendingChunkPtr& chunk : state->dirty.chunks()) {
    if (!found.oldest || chunk->born < *found.oldest) found.oldest = chunk->born;
    if (chunk->phase != ChunkPhase::open) found.waiting_for_servers = true;
    if (chunk->phase == ChunkPhase::uploaded) uploaded = true;
    // Whoever waits for a file moves it along itself.
    const bool ready = chunk->phase == ChunkPhase::sealed && chunk->upload.not_before <= now;
    if (ready && state->flushers == 0) found.to_upload.emplace_back(state, chunk);
  }
  if (uploaded && !state->exclusive && state->flushers == 0) found.to_commit.push_back(state);
}

bool claim(InodeState& state, PendingChunk& chunk) {
  const std::lock_guard lock(state.mutex);
  if (chunk.phase != ChunkPhase::sealed) return false;
  chunk.phase = ChunkPhase::uploading;
  return true;
}

}  // namespace

void WriteBack::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    kicked_ = false;
    lock.unlock();
    pass();
    const bool idle = dirty_.with([](const auto& table) { return table.empty(); });
    lock.lock();
    const auto due = [this] { return kicked_ || stopping_; };
    wake_.wait_for(lock, idle ? kIdleLook : kLook, due);
  }
}

std::vector<InodeStatePtr> WriteBack::dirty_states() const {
  return dirty_.with([](const auto& table) {
    std::vector<InodeStatePtr> states;
    states.reserve(table.size());
    for (const auto& [inode, state] : table) states.push_back(state);
    return states;
  });
}

// A writer enters its state here after it has written; so one that is clean
// under both locks will enter again.
void WriteBack::forget_clean() {
  dirty_.with([](auto& table) {
    std::erase_if(table, [](const auto& entry) {
      const std::lock_guard lock(entry.second->mutex);
      return entry.second->dirty.empty();
    });
  });
}

void WriteBack::pass() {
  const SteadyTime now = parts_.clock.now();
  const std::vector<InodeStatePtr> states = dirty_states();
  Found found;
  for (const InodeStatePtr& state : states) {
    look_at(state, now, now - parts_.config.flush_interval, found);
  }
  // Chunks on their way will free memory; only when there are none, the open
  // ones have to go before they are full.
  if (parts_.buffer.pressed() && !found.waiting_for_servers) {
    for (const InodeStatePtr& state : states) look_at(state, now, SteadyTime::max(), found);
  }

  for (const auto& [state, chunk] : found.to_upload) {
    if (writer_.in_flight() >= parts_.config.uploads_max) break;
    if (!claim(*state, *chunk)) continue;
    if (const auto prepared = writer_.prepare(state, chunk, &stop_)) writer_.send(prepared);
  }
  if (!found.to_commit.empty()) {
    const Result<void> committed = committer_.commit_all(found.to_commit, &stop_);
    if (!committed) log_debug("client", "background commit: {}", committed.error().to_string());
  }
  if (allocator_.runs_low()) {
    const Result<void> refilled = allocator_.refill(&stop_);
    if (!refilled) log_debug("client", "chunk ids: {}", refilled.error().to_string());
  }
  forget_clean();
  if (WriteLog* const log = parts_.buffer.log())
    log->tidy(found.oldest ? WriteLog::Activity::busy : WriteLog::Activity::idle);

  ClientMetrics& counts = client_metrics();
  counts.buffered_bytes.set(static_cast<double>(parts_.buffer.used_bytes()));
  oldest_unsent_.store(found.oldest.value_or(SteadyTime::max()));
  counts.oldest_unsent_seconds.set(static_cast<double>(at_risk().oldest_ms) / 1e3);
}

UnsentBytes WriteBack::at_risk() const {
  const SteadyTime oldest = oldest_unsent_.load();
  const auto age = std::max(parts_.clock.now() - oldest, SteadyTime::duration{0});
  const auto age_ms = std::chrono::duration_cast<std::chrono::milliseconds>(age).count();
  return {parts_.buffer.used_bytes(),
          oldest == SteadyTime::max() ? 0 : static_cast<std::uint64_t>(age_ms)};
}

}  // namespace dfs
