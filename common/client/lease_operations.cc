// Leases as the calls of FileSystem need them, and what a kernel may keep.
//
//   What is read, and what the kernel puts into its pages, is read under a lease;
//   what is written is written under one that nobody else has beside it.
//   Nothing that is known is used longer than the lease it came with.
#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "common/base/log.h"
#include "common/client/client_metrics.h"
#include "common/client/engine.h"
#include "common/rpc/lease_orders.h"

namespace dfs {
namespace {

// What closing leaves unsent always fits: it asks for the space this often, and
// waits for the servers where less than this is left beyond what is buffered.
constexpr std::chrono::seconds kSpaceAge{5};
constexpr std::uint64_t kAmpleBytes = 1 * GiB;

// A recall that crosses a request for a lease makes its answer bring none: once.
// After that somebody else comes first, and the server does not say when that is
// over. The pauses begin at what a recall takes on a fast network.
constexpr int kAsksAtOnce = 2;
constexpr std::chrono::microseconds kAskPauseLeast{50};
constexpr int kAskPauseDoublings = 6;

// Of a directory that is opened.
constexpr std::size_t kInodesLookedAt = 32;

void pause_to_ask(int asked, Interrupt* interrupt) {
  if (asked < kAsksAtOnce) return;
  std::mutex mutex;
  std::condition_variable wake;
  std::unique_lock lock(mutex);
  const Interrupt::Wait registered(interrupt, wake);
  if (interrupt != nullptr && interrupt->interrupted()) return;
  wake.wait_for(lock, kAskPauseLeast * (1 << std::min(asked - kAsksAtOnce, kAskPauseDoublings)));
}

}  // namespace

// --- having one ----------------------------------------------------------------------------

bool Engine::has_lease_locked(const InodeState& state, LeaseKind kind) const {
  if (!config_.leases) return true;
  if (!state.attributes_at) return false;
  if (!freshness_.leases_decide(state.attributes.consistency)) return true;
  if (!state.attributes_usable_locked(freshness_)) return false;
  return kind == LeaseKind::read || gate_.may_write(state.inode);
}

bool Engine::has_lease(InodeState& state, LeaseKind kind) {
  const std::lock_guard lock(state.mutex);
  return has_lease_locked(state, kind);
}

bool Engine::may_go_on(InodeState& state, LeaseKind kind, LeaseGate::Waiting& waiting) {
  const std::uint64_t since = gate_.since(state.inode);
  {
    const std::lock_guard lock(state.mutex);
    if (!has_lease_locked(state, kind)) return false;
    if (!freshness_.leases_decide(state.attributes.consistency)) return true;
  }
  return waiting.end_under(kind, since);
}

Result<bool> Engine::await_lease(const InodeStatePtr& state, LeaseKind kind, const FileRange& range,
                                 const CallContext& context, Asking& asking) {
  const InodeId inode = state->inode;
  const bool recalled = config_.leases && gate_.is_recalled(inode, kind);
  if (!recalled && has_lease(*state, kind)) return false;

  client_metrics().lease_waits.add();
  // In this order: one that goes in between is noticed.
  const std::uint64_t before = gate_.since(inode);
  LeaseGate::Waiting waiting(gate_, inode, range);
  const WaitLimits until = limits(context);
  for (int asked = 0;; ++asked) {
    pause_to_ask(asked, context.interrupt);
    const Wake wake = gate_.wait_for_recall(inode, kind, until);
    if (wake == Wake::interrupted) return fail(Errc::interrupted, "waiting for a lease");
    if (wake == Wake::expired) return fail(Errc::timed_out, "a lease is not given back");
    if (may_go_on(*state, kind, waiting)) break;
    if (until.deadline && clock_.now() >= *until.deadline)
      return fail(Errc::timed_out, "no lease is granted");

    asking.emplace(gate_, inode);
    const AttributesResult answer =
        TRY(ask<AttributesResult>(AcquireLeaseArgs{inode, kind}, context));
    asking->answered();
    gate_.granted(answer.attributes);
    {
      const std::lock_guard lock(state->mutex);
      if (!answer.attributes.provisional) state->learn_locked(answer.attributes, clock_.now());
      if (!freshness_.leases_decide(answer.attributes.consistency)) break;
    }
    if (may_go_on(*state, kind, waiting)) break;
    asking.reset();
  }
  return before != 0 && before != gate_.since(inode);
}

Result<void> Engine::finish_write_through(const InodeStatePtr& state, const CallContext& context) {
  if (!config_.leases || !gate_.to_give_back(state->inode)) return {};
  const Result<void> sent = write_back_.flush(state, context.interrupt);
  // The commit's answer has granted it once more.
  if (const auto order = gate_.to_give_back(state->inode)) keeper_.give_back(state->inode, *order);
  return sent;
}

// Nobody misses what is under a lease for writing, and an error that comes later
// is not to be expected where there is room.
bool Engine::may_leave_unsent(InodeState& state, const CallContext& context) {
  if (!config_.leases || config_.close_waits) return false;
  {
    const std::lock_guard lock(state.mutex);
    const bool exclusively = freshness_.leases_decide(state.attributes.consistency) &&
                             has_lease_locked(state, LeaseKind::write);
    const bool relaxed = state.attributes.consistency == Consistency::relaxed;
    if (!exclusively && !relaxed) return false;
  }
  const auto known = space_.with([](const auto& last) { return last; });
  std::uint64_t available = 0;
  if (known && clock_.now() - known->at < kSpaceAge) {
    available = known->told.bytes_available;
  } else {
    if (!context.may_wait) return false;
    const auto asked = ask_space(context);
    if (!asked) return false;
    available = asked->bytes_available;
  }
  return !write_back_.full() && available > kAmpleBytes + 2 * buffer_.used_bytes();
}

// --- opening without a word ----------------------------------------------------------------

std::optional<Opened> Engine::open_known(InodeId inode, const OpenOptions& options) {
  if (!config_.leases) return std::nullopt;
  InodeStatePtr state = inodes_.find(inode);
  if (state == nullptr) {
    const auto known = meta_cache_.find(inode);
    if (!known) return std::nullopt;
    state = inodes_.find_or_make(inode);
    const std::lock_guard lock(state->mutex);
    if (!state->attributes_at) state->learn_locked(*known, clock_.now());
  }
  const std::lock_guard lock(state->mutex);
  const Attributes& attributes = state->attributes;
  const bool may = state->attributes_at && !state->gone && attributes.nlink > 0 &&
                   attributes.type == FileType::regular &&
                   freshness_.leases_decide(attributes.consistency) &&
                   gate_.keeps(inode, attributes.lease_order) &&
                   !in_removal_.with([&](const auto& all) { return all.contains(inode); });
  if (!may) return std::nullopt;
  return opened_locked(state, options);
}

// The server keeps what loses its last name while it is open; but it knows only
// of those that were opened by asking it. Whoever comes meanwhile asks.
Engine::Removal::Removal(Engine& engine, InodeId directory, const std::string& name)
    : engine_(engine) {
  if (!engine_.config_.leases) return;
  const auto known = engine_.names_.find(directory, name);
  keep_ = !known;
  if (!known || known->absent()) return;
  inode_ = known->inode;
  engine_.in_removal_.with([this](auto& all) { all.insert(*inode_); });
  const InodeStatePtr state = engine_.inodes_.find(*inode_);
  if (state == nullptr) return;
  const std::lock_guard lock(state->mutex);
  keep_ = state->untold_opens_locked() > 0;
}

Engine::Removal::~Removal() {
  if (inode_) engine_.in_removal_.with([this](auto& all) { all.erase(all.find(*inode_)); });
}

void Engine::tell_opens(InodeId inode) {
  const InodeStatePtr state = inodes_.find(inode);
  if (state == nullptr) return;
  std::uint32_t untold = 0;
  {
    const std::lock_guard lock(state->mutex);
    untold = state->untold_opens_locked();
  }
  if (untold == 0) return;
  meta_.post(HoldArgs{inode, untold});
  std::uint32_t closed = 0;
  {
    const std::lock_guard lock(state->mutex);
    state->told_opens += untold;
    closed = state->take_overtold_locked();
  }
  if (closed > 0) meta_.post(ReleaseArgs{inode, closed});
}

// --- names and listings ----------------------------------------------------------------------

void Engine::learn_name(InodeId directory, const std::string& name, std::optional<InodeId> inode,
                        const std::optional<Attributes>& after) {
  if (!config_.leases) return;
  const std::uint64_t order = after ? after->lease_order : 0;
  if (inode) {
    names_.learn(directory, name, *inode, order);
  } else {
    names_.forget(directory, name, order);
  }
  listings_.changed(directory, order);
}

// As the server would list it now, if all of it is known.
std::optional<ReadDirResult> Engine::listed_before(InodeId inode, std::uint64_t cookie) {
  if (!config_.leases) return std::nullopt;
  const ListingCache::PagePtr page = listings_.find(inode, cookie);
  if (page == nullptr) return std::nullopt;
  ReadDirResult listing = *page;
  for (Entry& entry : listing.entries) {
    auto known = known_attributes(entry.attributes.inode);
    if (!known) return std::nullopt;
    entry.attributes = *std::move(known);
  }
  return listing;
}

// Of the inodes in it, by a few of them: a listing brings the attributes of many at
// once, and who has it already asks for those of each.
bool Engine::knows_most_of(InodeId directory) {
  const ListingCache::PagePtr page = listings_.find(directory, 0);
  if (page == nullptr) return false;
  const std::size_t step = page->entries.size() / kInodesLookedAt + 1;
  std::size_t known = 0;
  std::size_t unknown = 0;
  for (std::size_t at = 0; at < page->entries.size(); at += step)
    ++(known_attributes(page->entries[at].attributes.inode) ? known : unknown);
  return 8 * unknown <= known;
}

void Engine::learn_listing(InodeId inode, std::uint64_t cookie, const ReadDirResult& listing) {
  if (!config_.leases) return;
  gate_.granted(inode, listing.lease, listing.lease_order);
  listings_.learn(inode, cookie, listing);
  for (const Entry& entry : listing.entries)
    names_.learn(inode, entry.name, entry.attributes.inode, listing.lease_order);
}

// --- what a kernel may keep --------------------------------------------------------------------

std::optional<Attributes> Engine::last_told(InodeId inode) const {
  if (const InodeStatePtr state = inodes_.find(inode)) {
    const std::lock_guard lock(state->mutex);
    if (state->attributes_at) return state->attributes;
    return std::nullopt;
  }
  return meta_cache_.last_told(inode);
}

FileSystem::Keep Engine::keep(const Attributes& attributes) const {
  if (!freshness_.leases_decide(attributes.consistency)) return Keep::for_a_while;
  if (attributes.provisional || !gate_.keeps(attributes.inode, attributes.lease_order))
    return Keep::no;
  const InodeStatePtr state = inodes_.find(attributes.inode);
  if (state == nullptr) {
    const auto last = meta_cache_.last_told(attributes.inode);
    return last && last->change == attributes.change ? Keep::until_told : Keep::no;
  }
  // What was changed here meanwhile is told by another answer; and what is not on
  // the servers yet may look a little different there.
  const std::lock_guard lock(state->mutex);
  const bool settled = state->dirty.empty() && !state->exclusive && !state->clear_set_id;
  return settled && state->attributes.change == attributes.change ? Keep::until_told : Keep::no;
}

FileSystem::Keep Engine::keep_name(InodeId directory, const std::string& name,
                                   InodeId inode) const {
  if (names_.may_keep(directory, name, inode)) return Keep::until_told;
  if (inode == InodeId{}) return Keep::no;
  if (!config_.leases) return Keep::for_a_while;
  const auto last = last_told(directory);
  const bool strict = !last || freshness_.leases_decide(last->consistency);
  return strict ? Keep::no : Keep::for_a_while;
}

// --- the session -----------------------------------------------------------------------------

// A server that was started anew may have lost the end of its log, and with it changes
// of others that were seen here. What it says now may be less than what is known, and
// counts: so all is asked for once more, also under leases that it left us.
void Engine::welcomed(const LeaseTerms& terms) {
  const std::uint64_t life = life_of_lease_order(terms.order);
  const std::uint64_t former = life_of_server_.exchange(life);
  if (former != kNoLife && former != life) {
    meta_cache_.forget_all();
    for (const InodeStatePtr& state : inodes_.all()) {
      const std::lock_guard lock(state->mutex);
      state->attributes_at.reset();
      // What is buffered follows the contents that are known.
      if (state->dirty.empty() && !state->exclusive) state->forget_contents_locked();
    }
  }
  gate_.welcomed(terms);
  keeper_.lost(terms.lost);
}

LeaseHooks Engine::lease_hooks() {
  return {.adopted = [this](const SessionEstate& estate) { adopt(estate); },
          .claims = [this] { return gate_.claims(); },
          .welcomed = [this](const LeaseTerms& terms) { welcomed(terms); },
          .recalled = [this](const LeaseRecall& recall) { keeper_.recalled(recall); },
          .confirmed =
              [this](SteadyTime asked) {
                gate_.confirmed(asked);
                keeper_.confirmed();
              }};
}

}  // namespace dfs
