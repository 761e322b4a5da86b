// Going on where another process of the mount was killed: the session, its leases
// and locks, the files that programs have open.
//
// The kernel was told things under leases that the session still has; so they stay,
// and are given back when they are asked for. Nothing is known here under them, and
// what is learnt comes with a later grant. If the session, or the server's memory of
// it, is gone, the kernel forgets everything.
#include <algorithm>
#include <unordered_set>

#include "common/base/log.h"
#include "common/client/engine.h"

namespace dfs {
namespace {

// Between two attempts to hear of a file, while the server is away.
constexpr std::chrono::milliseconds kAskPause{100};

}  // namespace

OpenFilePtr Engine::reopen(const FormerFile& former) {
  const InodeStatePtr state = inodes_.find_or_make(former.inode);
  auto file = std::make_shared<OpenFile>(state, former.options, config_.read_ahead_bytes_max);
  {
    const std::lock_guard lock(state->mutex);
    ++state->opens;
    ++state->told_opens;
  }
  locked_through_.with([&](auto& all) {
    if (former.posix_owner)
      all.push_back({former.inode, LockFamily::posix, *former.posix_owner, file.get()});
    if (former.flock_owner)
      all.push_back({former.inode, LockFamily::flock, *former.flock_owner, file.get()});
  });
  return file;
}

void Engine::adopt(const SessionEstate& estate) {
  gate_.adopt(estate.leases, estate.lease_order);
  const std::vector<LockedThrough> through =
      locked_through_.with([](auto& all) { return std::exchange(all, {}); });
  for (const HeldLock& held : estate.locks) {
    const auto file = std::find_if(through.begin(), through.end(), [&](const LockedThrough& each) {
      return each.inode == held.inode && each.family == held.lock.family &&
             each.owner == held.lock.owner;
    });
    held_.adopt(held, file == through.end() ? nullptr : file->file);
    const InodeStatePtr state = inodes_.find_or_make(held.inode);
    if (held.lock.family == LockFamily::posix) state->was_locked_here.store(true);
  }
  held_.adopted();
  if (estate.is_complete) return;

  log_warn("client", "the metadata server was restarted too: {} locks and the leases of {} files "
                     "that have unsent bytes are held again; what the kernel has cached is forgotten",
           estate.locks.size(), estate.leases.write.size());
  pages_are_doubtful_ = true;
  // Others may have changed what was written here without a lease that holds.
  const std::unordered_set<InodeId> held_again(estate.leases.write.begin(),
                                               estate.leases.write.end());
  for (const InodeStatePtr& state : inodes_.all()) {
    const std::lock_guard lock(state->mutex);
    if (!state->dirty.empty() && !held_again.contains(state->inode))
      state->commit_only_after = state->dirty.facts().data_change;
  }
  std::vector<InodeId> in_use{kRootInode};
  for (const InodeStatePtr& state : inodes_.all()) in_use.push_back(state->inode);
  keeper_.forget_now(in_use);
}

void Engine::rewrite(OpenFile& file, const UnsentFacts& facts) {
  InodeState& state = *file.state();
  const std::lock_guard lock(state.mutex);
  state.rewrites = facts;
  state.commit_only_after = facts.data_change;
}

void Engine::restore(std::vector<WriteJournal::Former> former) {
  std::unordered_map<InodeId, std::vector<WriteJournal::Former>> by_inode;
  for (WriteJournal::Former& each : former) by_inode[each.inode].push_back(std::move(each));
  std::uint64_t bytes = 0;
  for (const auto& [inode, chunks] : by_inode) {
    const InodeStatePtr state = inodes_.find_or_make(inode);
    const std::lock_guard lock(state->mutex);
    state->dirty.restore(chunks, clock_.now());
    const UnsentFacts& facts = state->dirty.facts();
    state->dirty_mtime = facts.mtime;
    state->clear_set_id = facts.clear_set_id;
    state->contents_change = facts.data_change;
    state->awaits_operation = facts.changed_by;
    state->exclusive = state->holds_writes = facts.changed_by != 0;
    bytes += state->dirty.ranges().bytes();
    if (log_ != nullptr) log_->tidy(WriteLog::Activity::busy);
  }
  if (bytes > 0)
    log_info("client", "{} bytes of {} files were written and not on the servers when the former "
                       "process ended", bytes, by_inode.size());
}

void Engine::repeats_are_over(const std::function<bool(std::uint64_t)>& comes_again) {
  for (const InodeStatePtr& state : inodes_.all()) {
    std::uint64_t operation = 0;
    {
      const std::lock_guard lock(state->mutex);
      operation = state->awaits_operation;
    }
    if (operation != 0 && !comes_again(operation)) write_back_.end_exclusive(*state);
  }
}

Result<void> Engine::catch_up(const CallContext& context) {
  for (const InodeStatePtr& state : inodes_.all()) {
    bool dirty = false;
    {
      const std::lock_guard lock(state->mutex);
      dirty = !state->dirty.empty();
    }
    if (dirty) write_back_.wrote(state);
    for (;;) {
      const Result<void> asked = ask_again(*state, context);
      if (asked) break;
      if (!is_retryable(asked.error().code)) return asked;
      std::unique_lock lock(state->mutex);
      const SteadyTime until = clock_.now() + kAskPause;
      if (wait_until(lock, state->changed, {clock_, context.interrupt, until},
                     [] { return false; }) == Wake::interrupted)
        return fail(Errc::interrupted, "waiting for the metadata server");
    }
  }
  return {};
}

Result<void> Engine::ask_again(InodeState& state, const CallContext& context) {
  const auto answer = ask<AttributesResult>(GetAttrArgs{state.inode}, context);
  if (answer) {
    static_cast<void>(learn(answer->attributes));
    return {};
  }
  const Errc code = answer.error().code;
  if (code != Errc::stale && code != Errc::not_found) return fail(answer.error());
  const std::lock_guard lock(state.mutex);
  state.gone = true;
  state.drop_unsent_locked();
  return {};
}

}  // namespace dfs
