#include "common/client/committer.h"

#include <algorithm>
#include <utility>

#include "common/base/log.h"
#include "common/client/client_metrics.h"
#include "common/client/wait.h"
#include "common/rpc/protocol.h"

namespace dfs {
namespace {

// Calls on their way at once. More would not make a commit faster; fewer
// would make a synced one hold up all others.
constexpr std::size_t kCallsMax = 4;
constexpr std::size_t kFilesPerCommit = 512;
constexpr std::size_t kRangesPerFile = 8192;
static_assert(kRangesPerFile * 2 <= kExtentsPerCommitMax);

// The connection or the server is at fault, not the files.
bool blames_nobody(Errc code) {
  return is_retryable(code) || code == Errc::session_lost || code == Errc::interrupted;
}

// If power is lost before the answer is there, the next mount has to know that it was we
// who changed the file. What is written while the commit is on its way is recorded behind
// this; so only bytes that are written already have to wait for it. Returns the log if they do.
WriteLog* note_intent_locked(const InodeState& state, const CommitFile& file) {
  WriteLog* const log = state.dirty.log();
  if (log == nullptr || file.extents.empty()) return nullptr;
  const std::uint64_t follows = state.commit_only_after.value_or(state.contents_change);
  log->intends(state.inode, follows, file.extents.front().chunk);
  std::uint64_t taken = 0;
  for (const Extent& extent : file.extents) taken += extent.length;
  const bool rest = taken < state.dirty.ranges().bytes() || state.rewrites;
  return rest ? log : nullptr;
}

}  // namespace

Committer::~Committer() {
  std::unique_lock lock(mutex_);
  answered_.wait(lock, [this] { return late_ == 0; });
}

Result<CommitOutcome> Committer::commit(const InodeStatePtr& state, CommitMode mode,
                                             std::vector<ChunkPlacement> extra,
                                             Interrupt* interrupt) {
  auto part = std::make_shared<Part>();
  part->state = state;
  part->extra = std::move(extra);
  {
    const std::lock_guard lock(mutex_);
    (mode == CommitMode::synced ? waiting_synced_ : waiting_plain_).push_back(part);
  }
  return wait_for(part, mode, interrupt);
}

Result<void> Committer::commit_all(const std::vector<InodeStatePtr>& states, Interrupt* interrupt) {
  Parts parts;
  for (const InodeStatePtr& state : states) {
    parts.push_back(std::make_shared<Part>());
    parts.back()->state = state;
  }
  {
    const std::lock_guard lock(mutex_);
    waiting_plain_.insert(waiting_plain_.end(), parts.begin(), parts.end());
  }
  Result<void> result;
  for (const PartPtr& part : parts) {
    const Result<CommitOutcome> outcome = wait_for(part, CommitMode::plain, interrupt);
    if (!outcome && outcome.error().code != Errc::busy) result = fail(outcome.error());
  }
  return result;
}

Result<CommitOutcome> Committer::wait_for(const PartPtr& part, CommitMode mode,
                                               Interrupt* interrupt) {
  std::unique_lock lock(mutex_);
  while (!part->done) {
    if (!part->taken && calls_ < kCallsMax) {
      // Nobody sends for us: we send, for everybody who waits.
      const Parts batch = take_batch_locked(mode);
      ++calls_;
      lock.unlock();
      run(batch, mode, interrupt);
      lock.lock();
      --calls_;
      answered_.notify_all();
      if (!part->done && part->taken) {
        if (interrupt != nullptr && interrupt->interrupted()) return fail(Errc::interrupted);
      }
      continue;
    }
    const Wake wake = wait_until(lock, answered_, {clock_, interrupt, std::nullopt}, [&] {
      return part->done || (!part->taken && calls_ < kCallsMax);
    });
    if (wake != Wake::interrupted) continue;
    if (!part->taken) {
      std::erase(waiting_plain_, part);
      std::erase(waiting_synced_, part);
    }
    return fail(Errc::interrupted, "waiting for a commit");
  }
  return part->outcome;
}

Committer::Parts Committer::take_batch_locked(CommitMode mode) {
  std::deque<PartPtr>& waiting = mode == CommitMode::synced ? waiting_synced_ : waiting_plain_;
  const std::size_t count = std::min(waiting.size(), kFilesPerCommit);
  Parts batch(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(count));
  waiting.erase(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(count));
  for (const PartPtr& part : batch) part->taken = true;
  return batch;
}

// What is prepared under one session is not to be sent under another: it does not say
// that others may have had the file in between.
void Committer::run(const Parts& batch, CommitMode mode, Interrupt* interrupt) {
  const SessionId session = meta_.session();
  Parts prepared;
  WriteLog* log = nullptr;
  for (const PartPtr& part : batch) {
    if (!prepare(*part)) continue;
    prepared.push_back(part);
    if (part->log != nullptr) log = part->log;
  }
  if (log != nullptr) static_cast<void>(log->make_stable());
  Parts ready;
  std::size_t extents = 0;
  for (const PartPtr& part : prepared) {
    if (extents + part->file.extents.size() > kExtentsPerCommitMax) {
      static_cast<void>(send(ready, session, mode, interrupt));
      ready.clear();
      extents = 0;
    }
    extents += part->file.extents.size();
    ready.push_back(part);
  }
  if (!ready.empty()) static_cast<void>(send(ready, session, mode, interrupt));
}

// Fills the part from its state and makes the inode ours until the answer.
bool Committer::prepare(Part& part) {
  InodeState& state = *part.state;
  {
    const std::lock_guard lock(state.mutex);
    if (state.exclusive) {
      finish(part, fail(Errc::busy, "another change of the inode is on its way"));
      return false;
    }
    part.ranges = state.dirty.to_commit(kRangesPerFile);
    if (!part.ranges.empty() || !part.extra.empty()) {
      part.file = CommitFile{};
      part.file.inode = state.inode;
      for (const DirtyFile::Range& range : part.ranges) {
        const UploadProgress& upload = range.source->upload;
        part.file.extents.push_back({range.offset, static_cast<std::uint32_t>(range.length),
                                     upload.chunk, static_cast<std::uint32_t>(range.source_offset)});
        part.file.size_at_least = std::max(part.file.size_at_least, range.end());
      }
      for (const PendingChunkPtr& chunk : state.dirty.chunks()) {
        if (chunk->phase == ChunkPhase::uploaded) part.chunks.push_back(chunk);
      }
      part.file.mtime = state.dirty_mtime;
      part.file.clear_set_id = state.clear_set_id;
      part.file.only_if = state.commit_only_after;
      part.log = note_intent_locked(state, part.file);
      state.exclusive = true;
      return true;
    }
  }
  finish(part, CommitOutcome{false});
  return false;
}

Result<void> Committer::send(const Parts& batch, SessionId session, CommitMode mode,
                             Interrupt* interrupt) {
  CommitArgs args;
  args.session = session;
  args.sync = mode == CommitMode::synced;
  for (const PartPtr& part : batch) {
    args.files.push_back(part->file);
    for (const PendingChunkPtr& chunk : part->chunks) {
      if (chunk->upload.missing_on.empty()) continue;
      args.placements.push_back({chunk->upload.chunk, chunk->length(), chunk->upload.missing_on});
    }
    args.placements.insert(args.placements.end(), part->extra.begin(), part->extra.end());
  }
  const std::uint64_t counted = meta_sync_.counted();
  client_metrics().commits.add();
  client_metrics().committed_files.add(static_cast<double>(batch.size()));

  // Shared, so that it can be emptied: the session may keep the function for
  // longer than what the parts refer to lives.
  const auto kept = std::make_shared<Parts>(batch);
  const auto late = [this, kept, mode](Result<MetaResult> answer) {
    if (!settle(*kept, mode, answer)) {
      for (const PartPtr& part : *kept) give_back(*part, Error{Errc::again, answer.error().text});
    }
    kept->clear();
    const std::lock_guard lock(mutex_);
    --late_;
    answered_.notify_all();
  };
  {
    const std::lock_guard lock(mutex_);
    ++late_;
  }
  const Result<MetaResult> answer = meta_.call_through(std::move(args), Caller{}, interrupt, late);
  if (!answer && answer.error().code == Errc::interrupted) return fail(answer.error());
  {
    const std::lock_guard lock(mutex_);
    --late_;
    if (late_ == 0) answered_.notify_all();
  }

  if (answer && mode == CommitMode::synced) meta_sync_.raise_to(counted);
  if (settle(batch, mode, answer)) return {};
  // One of the files spoils it for all: find out which.
  for (const PartPtr& part : batch) {
    static_cast<void>(send({part}, session, mode, interrupt));
  }
  return {};
}

bool Committer::settle(const Parts& batch, CommitMode mode, const Result<MetaResult>& answer) {
  if (!answer) {
    const Error& problem = answer.error();
    if (blames_nobody(problem.code) && problem.code != Errc::stale_epoch) {
      for (const PartPtr& part : batch) give_back(*part, problem);
      return true;
    }
    if (batch.size() > 1) return false;
    Part& part = *batch.front();
    const bool vanished = problem.code == Errc::not_found || problem.code == Errc::stale;
    if (vanished) vanish(part);
    else if (problem.code != Errc::stale_epoch) refuse(part, problem);
    else if (part.file.only_if) overtaken(part);
    else give_back(part, problem);
    return true;
  }
  const CommitResult* result = std::get_if<CommitResult>(&*answer);
  if (result == nullptr) {
    const Error problem{Errc::bad_message, "a commit was answered by something else"};
    for (const PartPtr& part : batch) refuse(*part, problem);
    return true;
  }
  // Before the files look clean: who finds one clean must find it counted.
  if (mode == CommitMode::plain) meta_sync_.changed();
  // In the order of the files, without those that are gone.
  auto after = result->attributes.begin();
  for (const PartPtr& part : batch) {
    if (after != result->attributes.end() && after->inode == part->state->inode) {
      apply(*part, *after++);
    } else {
      vanish(*part);
    }
  }
  return true;
}

void Committer::apply(Part& part, const Attributes& after) {
  InodeState& state = *part.state;
  {
    const std::lock_guard lock(state.mutex);
    const bool follow = state.own_change_locked(after, clock_.now());
    if (follow) {
      for (const Extent& extent : part.file.extents) state.extents.put(extent);
    }
    for (const PendingChunkPtr& chunk : part.chunks) {
      const UploadProgress& upload = chunk->upload;
      if (follow) state.extents.learn_length(upload.chunk, chunk->length());
      if (!upload.synced) {
        state.add_unsynced_locked({upload.chunk, chunk->length(), upload.stored_on});
      }
    }
    state.dirty.committed(part.ranges);
    // What was written meanwhile has a later time and keeps it.
    if (state.dirty_mtime == part.file.mtime) state.dirty_mtime.reset();
    if (part.file.clear_set_id) state.clear_set_id = false;
    state.remember_locked();
    if (state.dirty.empty() && !state.rewrites) state.commit_only_after.reset();
    state.exclusive = false;
    state.notify_locked();
  }
  gate_.granted(after);
  finish(part, CommitOutcome{true});
}

void Committer::refuse(Part& part, const Error& problem) {
  InodeState& state = *part.state;
  log_error("client", "inode {}: the metadata server refuses what was written: {}",
            state.inode.value(), problem.to_string());
  {
    const std::lock_guard lock(state.mutex);
    for (const PendingChunkPtr& chunk : part.chunks) state.dirty.drop(*chunk);
    state.keep_error_locked(problem);
    state.exclusive = false;
    state.notify_locked();
  }
  finish(part, CommitOutcome{true});
}

// The session under which this was written was ended, and somebody else has
// changed the file since: what he made of it stays.
void Committer::overtaken(Part& part) {
  InodeState& state = *part.state;
  const std::string why =
      "another mount has changed the file while this one was away: what was written here is lost";
  {
    const std::lock_guard lock(state.mutex);
    log_error("client", "inode {}: {} ({} bytes)", state.inode.value(), why,
              state.dirty.ranges().bytes());
    state.keep_error_locked(Error{Errc::io, why});
    state.commit_only_after.reset();
    state.dirty.clear();
    state.dirty_mtime.reset();
    state.forget_contents_locked();
    state.attributes_at.reset();
    // The kernel may have pages of what was read meanwhile.
    state.pages_change.reset();
    state.kernel_change.reset();
    state.exclusive = false;
    state.notify_locked();
  }
  finish(part, CommitOutcome{true});
}

void Committer::vanish(Part& part) {
  InodeState& state = *part.state;
  {
    const std::lock_guard lock(state.mutex);
    const bool expected = state.attributes.nlink == 0 && state.opens == 0;
    if (!expected && !state.gone) {
      log_warn("client", "inode {} is gone; what was written to it is lost", state.inode.value());
      state.keep_error_locked(Error{Errc::stale, "the file is gone"});
    }
    state.gone = true;
    state.dirty.clear();
    state.exclusive = false;
    state.notify_locked();
  }
  finish(part, CommitOutcome{true});
}

void Committer::give_back(Part& part, const Error& problem) {
  InodeState& state = *part.state;
  {
    const std::lock_guard lock(state.mutex);
    state.exclusive = false;
    state.notify_locked();
  }
  finish(part, fail(problem));
}

void Committer::finish(Part& part, Result<CommitOutcome> outcome) {
  const std::lock_guard lock(mutex_);
  part.outcome = std::move(outcome);
  part.done = true;
  answered_.notify_all();
}

}  // namespace dfs
