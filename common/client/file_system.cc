#include "common/client/file_system.h"

#include <algorithm>

#include "common/base/log.h"
#include "common/client/engine.h"
#include "common/rpc/operation_table.h"

namespace dfs {
namespace {

// States of inodes that nobody has open are larger than cached attributes;
// this many keep extents and what the kernel's pages show.
constexpr std::size_t kIdleStatesMax = 16384;

}  // namespace

Result<std::unique_ptr<FileSystem>> FileSystem::create(const ClientConfig& config,
                                                       MetaClient& meta, StoragePool& storage,
                                                       Clock& clock, WriteJournal* journal,
                                                       WriteLog* log) {
  TRY(config.validate());
  auto engine = std::make_unique<Engine>(config, meta, storage, clock, journal, log);
  if (journal != nullptr) engine->restore(journal->take_former());
  return engine;
}

Engine::Engine(const ClientConfig& config, MetaClient& meta, StoragePool& storage, Clock& clock,
               WriteJournal* journal, WriteLog* log)
    : config_(config),
      meta_(meta),
      clock_(clock),
      log_(log),
      buffer_(config_.write_buffer_bytes, journal, log),
      inodes_(buffer_, std::min(kIdleStatesMax, config_.inodes_max),
              [this](const InodeState& state) { go_on_knowing_locked(state); }),
      gate_(clock_),
      freshness_(gate_, clock_, config_),
      meta_cache_(config_.inodes_max, freshness_),
      names_(gate_, config_.names_max),
      listings_(gate_, config_.listed_entries_max),
      shown_listings_(gate_, config_.inodes_max),
      removed_(config_.removed_inodes_max),
      health_(clock_),
      meta_sync_(meta_),
      cache_(config_.read_cache_bytes),
      chunks_({meta_, storage, health_, cache_, clock_, config_}),
      files_({meta_, chunks_, clock_, config_}),
      write_back_({meta_, storage, health_, clock_, config_, buffer_, meta_sync_,
                   gate_}),
      access_times_(std::make_shared<AccessTimes>()),
      access_time_sender_(access_times_, meta_, clock_,
                          {.interval = config_.access_time_interval,
                           .settled = [this](const auto& times) { move_access_times(times); }}),
      keeper_({.gate = gate_,
               .replies = replies(),
               .inodes = inodes_,
               .meta = meta_,
               .clock = clock_,
               .send = [this](const InodeStatePtr& state,
                              Interrupt* stop) { return send_written(state, stop); },
               .type_of = [this](InodeId inode) -> std::optional<FileType> {
                 const auto told = last_told(inode);
                 if (!told) return std::nullopt;
                 return told->type;
               }}) {}

Attributes Engine::learn(const Attributes& fresh) {
  if (fresh.provisional) {
    Attributes shown = fresh;
    access_times_->show(shown);
    return shown;
  }
  const SteadyTime now = clock_.now();
  gate_.granted(fresh);
  if (fresh.nlink == 0) removed_.learn(fresh);
  Attributes result = fresh;
  if (const InodeStatePtr state = inodes_.find(fresh.inode)) {
    const std::lock_guard lock(state->mutex);
    state->learn_locked(fresh, now);
    result = state->merged_locked();
  } else {
    meta_cache_.learn(fresh, now);
  }
  access_times_->show(result);
  return result;
}

void Engine::learn(const std::optional<Attributes>& fresh) {
  if (fresh) static_cast<void>(learn(*fresh));
}

// What has lost its last name and is not open will never be read again; who
// still looks at it is to be told the truth.
void Engine::learn_removed(const Attributes& removed) {
  static_cast<void>(learn(removed));
  if (removed.nlink > 0) return;
  removed_.add(removed);
  tell_opens(removed.inode);
  const InodeStatePtr state = inodes_.find(removed.inode);
  if (state == nullptr) {
    meta_cache_.forget(removed.inode);
    gate_.gone(removed.inode);
    return;
  }
  const std::lock_guard lock(state->mutex);
  if (state->opens == 0) gate_.gone(removed.inode);
  state->drop_unsent_locked();
}

// Under a lease, what the cache has from before it came into use would hold again.
void Engine::go_on_knowing_locked(const InodeState& state) {
  if (state.attributes_at) {
    meta_cache_.learn(state.attributes, *state.attributes_at);
  } else {
    meta_cache_.forget(state.inode);
  }
}

std::uint32_t Engine::chunk_size_locked(const InodeState& state) const {
  const std::uint32_t own = state.attributes.chunk_size;
  return own != 0 ? own : meta_.default_chunk_size();
}

WaitLimits Engine::limits(const CallContext& context) const {
  WaitLimits result{clock_, context.interrupt, std::nullopt};
  if (config_.soft_timeout.count() > 0) result.deadline = clock_.now() + config_.soft_timeout;
  return result;
}

Result<void> Engine::change_exclusively(const InodeStatePtr& state, MetaArgs args,
                                        const CallContext& context, Apply apply) {
  RunningOperation* const operation = context.caller.operation;
  TRY(write_back_.begin_exclusive(*state, operation != nullptr ? operation->id().number : 0,
                                  context.interrupt));
  const auto settle = [this, state, apply = std::move(apply)](const Result<MetaResult>& answer,
                                                               LateCalls::Arrival arrival) {
    meta_sync_.changed();
    if (answer) {
      const std::lock_guard lock(state->mutex);
      apply(*state, *answer);
      // The kernel was told that nothing happened, and kept its pages.
      if (arrival == LateCalls::Arrival::late) state->pages_change.reset();
    }
    write_back_.end_exclusive(*state);
  };
  TRY(late_.call(meta_, std::move(args), context.caller, context.interrupt, settle));
  // Else the next mount might take for another's change what is one of ours.
  if (log_ != nullptr) static_cast<void>(log_->make_stable());
  return {};
}

std::vector<InodeId> Engine::held_inodes() const {
  std::vector<InodeId> result;
  for (const InodeStatePtr& state : inodes_.open_inodes()) {
    const std::lock_guard lock(state->mutex);
    result.insert(result.end(), state->opens, state->inode);
    state->told_opens = state->opens;
  }
  return result;
}

void Engine::session_replaced() {
  if (const std::size_t lost = held_.forget_all(); lost > 0)
    log_error("client", "the metadata server forgot this session: {} locks are lost", lost);
  keeper_.lost(gate_.forget_all());
  for (const InodeStatePtr& state : inodes_.all()) {
    const std::lock_guard lock(state->mutex);
    state->attributes_at.reset();
    state->pages_change.reset();
    state->kernel_change.reset();
    // Others may have got the file meanwhile. What they made of it stays.
    const bool follows = freshness_.leases_decide(state->attributes.consistency);
    if (follows && !state->dirty.empty() && !state->commit_only_after) {
      log_warn("client", "inode {}: {} bytes were written under a session that is over; they are "
               "kept if nobody has changed the file since",
               state->inode.value(), state->dirty.ranges().bytes());
      state->commit_only_after = state->contents_change;
    }
    state->forget_contents_locked();
  }
}

Result<void> Engine::write_back(const CallContext& context) {
  return write_back_.flush_all(context.interrupt);
}

Result<void> Engine::sync(const CallContext& context) {
  access_time_sender_.send_all();
  TRY(write_back(context));
  return meta_sync_.sync(context.caller, context.interrupt);
}

}  // namespace dfs
