// The fsync half of WriteBack: upload, then stable media on every server that
// has a chunk, then the commit that survives power loss. In this order, so
// that what the metadata server remembers is always there.
#include <algorithm>

#include "common/base/log.h"
#include "common/client/extent_loader.h"
#include "common/client/wait.h"
#include "common/client/write_back.h"

namespace dfs {
namespace {

constexpr std::chrono::milliseconds kPause{100};
// Rounds in which chunks that too few servers could sync go elsewhere.
constexpr int kRoundsElsewhere = 2;

std::vector<ServerId> members_of(const GroupTable& table, GroupId id) {
  std::vector<ServerId> result;
  const auto group = table.groups.find(id);
  if (group == table.groups.end()) return result;
  for (const GroupMember& member : group->second.members) {
    if (member.state != MemberState::leaving) result.push_back(member.server);
  }
  return result;
}

// Repair may have copied it to members to whom it was not sent. False: none is new.
bool ask_all_members(UnsyncedChunk& chunk, const GroupTable& table) {
  const std::size_t before = chunk.stored_on.size();
  for (const ServerId member : members_of(table, chunk.chunk.group())) {
    auto& servers = chunk.stored_on;
    if (std::find(servers.begin(), servers.end(), member) == servers.end()) servers.push_back(member);
  }
  return chunk.stored_on.size() > before;
}

}  // namespace

Result<void> WriteBack::fsync(const InodeStatePtr& state, Interrupt* interrupt) {
  const Attended attended(*this, *state);
  Target target;
  {
    const std::lock_guard lock(state->mutex);
    std::vector<PendingChunkPtr> sealed;
    state->dirty.seal(SteadyTime::max(), sealed);
    for (const PendingChunkPtr& chunk : state->dirty.chunks()) {
      if (chunk->phase == ChunkPhase::sealed) chunk->sync = true;
    }
    target.serial = state->dirty.last_serial();
  }

  target.goal = Goal::uploaded;
  for (int round = 0;; ++round) {
    TRY(drive(state, target, interrupt));
    const SyncWork work = TRY(gather(state, target.serial, interrupt));
    if (work.chunks.empty()) {
      forget_synced(*state, work, true);
      break;
    }
    bool again = round < kRoundsElsewhere;
    auto placements = sync_chunks(state, work, again, interrupt);
    forget_synced(*state, work, placements.has_value() && !again);
    if (!placements) return fail(placements.error());
    target.extra = *std::move(placements);
    if (!again) break;
  }

  target.goal = Goal::committed;
  target.mode = CommitMode::synced;
  TRY(drive(state, target, interrupt));
  // Chunks may have been committed by others meanwhile, unsynced.
  return parts_.meta_sync.sync(Caller{}, interrupt);
}

Result<WriteBack::SyncWork> WriteBack::gather(const InodeStatePtr& state, std::uint64_t serial,
                                              Interrupt* interrupt) {
  for (;;) {
    {
      const std::lock_guard lock(state->mutex);
      const bool everything = !state->history_known;
      if (!everything || state->extents_usable_locked(ExtentMap::kEverything)) {
        SyncWork work;
        work.whole_history = everything;
        work.lineage = state->lineage;
        for (const PendingChunkPtr& chunk : state->dirty.chunks()) {
          const bool wanted = chunk->serial <= serial && chunk->phase == ChunkPhase::uploaded;
          if (!wanted || chunk->upload.synced) continue;
          work.pending.push_back(chunk);
          work.chunks.push_back({chunk->upload.chunk, chunk->length(), chunk->upload.stored_on});
        }
        if (everything) {
          const GroupTablePtr table = parts_.meta.group_table();
          std::vector<ChunkId> ids;
          state->extents.visit(0, ExtentMap::kEverything,
                               [&](const ExtentMap::Range& range) { ids.push_back(range.source); });
          std::sort(ids.begin(), ids.end());
          ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
          for (const ChunkId id : ids) {
            work.chunks.push_back(
                {id, state->extents.least_length(id), members_of(*table, id.group())});
          }
          // From here on every unsynced commit is remembered again.
          state->history_known = true;
          state->unsynced.clear();
        } else {
          work.chunks.insert(work.chunks.end(), state->unsynced.begin(), state->unsynced.end());
        }
        return work;
      }
      if (state->gone) return fail(Errc::stale, "the file is gone");
    }
    TRY(load_extents(parts_.meta, *state, ExtentMap::kEverything, interrupt));
  }
}

void WriteBack::forget_synced(InodeState& state, const SyncWork& work, bool synced) {
  const std::lock_guard lock(state.mutex);
  if (state.lineage != work.lineage) return;  // others wrote: everything is asked for next time
  if (!synced) {
    if (work.whole_history) state.history_known = false;
    return;
  }
  std::erase_if(state.unsynced, [&](const UnsyncedChunk& unsynced) {
    return std::any_of(work.chunks.begin(), work.chunks.end(),
                       [&](const UnsyncedChunk& done) { return done.chunk == unsynced.chunk; });
  });
}

// Every server that had the chunks has lost them before they were on stable media.
// That is no loss if the file does not use them any more, or not once what is on its way
// is committed.
Result<void> WriteBack::check_unused(const InodeStatePtr& state, const std::vector<ChunkId>& lost,
                                     Interrupt* interrupt) {
  for (;;) {
    {
      const std::lock_guard lock(state->mutex);
      if (state->gone) return {};
      if (state->extents_usable_locked(ExtentMap::kEverything)) {
        std::optional<ChunkId> used;
        state->extents.visit(0, ExtentMap::kEverything, [&](const ExtentMap::Range& range) {
          if (std::find(lost.begin(), lost.end(), range.source) == lost.end()) return;
          std::uint64_t replaced = 0;
          state->dirty.ranges().visit(range.offset, range.length,
                                      [&](const DirtyFile::Range& dirty) { replaced += dirty.length; });
          if (replaced < range.length) used = range.source;
        });
        if (!used) return {};
        return fail(Errc::io, "chunk " + to_string(*used) +
                                  " was written and is on no server any more: write it again");
      }
    }
    TRY(load_extents(parts_.meta, *state, ExtentMap::kEverything, interrupt));
  }
}

Result<std::vector<ChunkPlacement>> WriteBack::sync_chunks(const InodeStatePtr& state,
                                                           const SyncWork& work, bool& again,
                                                           Interrupt* interrupt) {
  const bool may_move = again;
  const SteadyTime started = parts_.clock.now();
  std::vector<UnsyncedChunk> chunks = work.chunks;
  for (;;) {
    const auto reports = TRY(syncer_.sync(chunks, interrupt));
    const GroupTablePtr table = parts_.meta.group_table();
    std::vector<ChunkPlacement> placements;
    std::vector<ChunkId> lost;
    bool lacking = false;
    bool others_asked = true;
    bool moved = false;

    std::unique_lock lock(state->mutex);
    for (std::size_t i = 0; i < reports.size(); ++i) {
      const ChunkSyncReport& report = reports[i];
      PendingChunk* pending = i < work.pending.size() ? work.pending[i].get() : nullptr;
      const bool buffered = pending != nullptr && pending->phase == ChunkPhase::uploaded;
      const std::size_t members = report.synced_on.size() + report.missing_on.size();
      const bool enough = report.synced_on.size() >= std::max<std::size_t>(1, members - 1);
      const bool goes_elsewhere = report.nowhere || (!enough && may_move);
      if (buffered && goes_elsewhere && !state->exclusive) {
        // Its bytes are still here: they go to servers that can keep them.
        pending->phase = ChunkPhase::sealed;
        pending->sync = true;
        pending->upload = UploadProgress{};
        pending->upload.avoid = report.missing_on;
        moved = true;
        continue;
      }
      if (report.synced_on.empty() && ask_all_members(chunks[i], *table)) {
        others_asked = false;
        continue;
      }
      if (report.synced_on.empty() && !report.nowhere) {
        lacking = true;
        continue;
      }
      if (report.nowhere) {
        if (buffered) return fail(Errc::io, "what was written is on no server any more: write it again");
        lost.push_back(report.chunk);
        continue;
      }
      if (buffered) {
        pending->upload.synced = true;
        for (const ServerId server : report.missing_on) {
          auto& missing = pending->upload.missing_on;
          if (std::find(missing.begin(), missing.end(), server) == missing.end()) {
            missing.push_back(server);
          }
        }
      } else if (!report.missing_on.empty()) {
        placements.push_back({report.chunk, report.length, report.missing_on});
      }
    }
    again = moved;
    if (!moved && !others_asked) continue;
    if (!moved && !lost.empty()) {
      lock.unlock();
      TRY(check_unused(state, lost, interrupt));
      lock.lock();
    }
    if (moved || !lacking) return placements;

    // A chunk that no server can sync now: there is nothing to do but wait.
    const SteadyTime now = parts_.clock.now();
    const bool soft = parts_.config.soft_timeout.count() > 0;
    if (soft && now - started >= parts_.config.soft_timeout) {
      return fail(Errc::timed_out, "no storage server could make the data safe");
    }
    const Wake wake = wait_until(lock, state->changed, {parts_.clock, interrupt, now + kPause},
                                 [] { return false; });
    if (wake == Wake::interrupted) return fail(Errc::interrupted, "waiting for stable storage");
  }
}

}  // namespace dfs
