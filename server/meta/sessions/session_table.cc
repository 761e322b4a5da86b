#include "server/meta/sessions/session_table.h"

#include <algorithm>
#include <limits>
#include <utility>

#include <fmt/format.h>

namespace dfs {
namespace {

// Orphans in waiting beyond which nobody gets the benefit of the doubt.
constexpr std::size_t kOrphansWaitingMax = 1'000'000;
// Holds released in one go when a session ends.
constexpr std::size_t kReleasedAtOnceMax = 4'096;

}  // namespace

SessionTable::SessionTable(const Clock& clock, OrphanQueue& orphans, SessionTableOptions options)
    : clock_(clock), orphans_(orphans), options_(options), started_(clock.now()) {}

void SessionTable::load(SessionId id, SessionRecord record) {
  auto session = std::make_unique<Session>();
  session->id = id;
  session->replies.acknowledge(record.answered_through);
  session->record = std::move(record);
  session->away_since = clock_.now();
  ++not_back_;
  if (session->record.wants_leases) ++not_back_with_leases_;
  sessions_[id] = std::move(session);
}

void SessionTable::connect(SessionId id, SessionRecord record, std::shared_ptr<ReplySink> sink,
                           const std::vector<InodeId>& held, Return how) {
  auto& slot = sessions_[id];
  const bool is_new = slot == nullptr;
  if (is_new) {
    slot = std::make_unique<Session>();
    slot->id = id;
    slot->replies_loaded = true;
    slot->back_since_start = true;
  }
  Session& session = *slot;
  if (how == Return::whole) came_back(session);
  session.record = std::move(record);
  const std::shared_ptr<ReplySink> former = std::exchange(session.sink, std::move(sink));
  if (former == nullptr)
    ++connected_;
  else
    former->end(Error{Errc::session_lost, "the session goes on over another connection"});

  // Add before dropping, so that what stays held is never without a holder.
  auto before = std::exchange(session.held, {});
  for (const InodeId inode : held) add_hold(session, inode, 1);
  const SteadyTime due = orphan_due();
  for (const auto& [inode, count] : before) {
    const auto holder = holders_.find(inode);
    if ((holder->second -= count) > 0) continue;
    holders_.erase(holder);
    // A repeat that is on its way may open it again.
    if (orphans_.contains(inode)) orphans_.add(inode, due);
  }
}

bool SessionTable::disconnect(SessionId id, Epoch epoch) {
  const auto found = sessions_.find(id);
  if (found == sessions_.end() || found->second->record.epoch != epoch) return false;
  if (found->second->sink == nullptr) return false;
  found->second->sink.reset();
  --connected_;
  found->second->away_since = clock_.now();
  return true;
}

bool SessionTable::end(SessionId id, Epoch epoch) {
  Session* session = find(id);
  if (session == nullptr || session->record.epoch != epoch) return false;
  disconnect(id, epoch);
  session->ending = true;
  return true;
}

void SessionTable::evict(SessionId id, const Error& why) {
  Session* session = find(id);
  if (session == nullptr) return;
  came_back(*session);
  const std::shared_ptr<ReplySink> sink = session->sink;
  disconnect(id, session->record.epoch);
  session->ending = true;
  if (sink != nullptr) sink->end(why);
}

std::vector<SessionId> SessionTable::missing_with_leases(std::chrono::nanoseconds time) const {
  std::vector<SessionId> missing;
  if (leases_are_known() || clock_.now() - started_ <= time) return missing;
  for (const auto& [id, session] : sessions_)
    if (!session->back_since_start && session->record.wants_leases) missing.push_back(id);
  return missing;
}

Session* SessionTable::find(SessionId id) {
  const auto found = sessions_.find(id);
  return found == sessions_.end() || found->second->ending ? nullptr : found->second.get();
}

std::optional<SessionId> SessionTable::next_to_end() {
  const SteadyTime now = clock_.now();
  for (const auto& [id, session] : sessions_) {
    if (session->ending) return id;
    if (session->sink != nullptr || now - session->away_since <= options_.timeout) continue;
    session->ending = true;
    return id;
  }
  return std::nullopt;
}

bool SessionTable::release_some(SessionId id) {
  Session& session = *sessions_.at(id);
  for (std::size_t count = 0; count < kReleasedAtOnceMax && !session.held.empty(); ++count) {
    const auto [inode, holds] = *session.held.begin();
    drop_hold(session, inode, holds);
  }
  return session.held.empty();
}

void SessionTable::remove(SessionId id) {
  const auto found = sessions_.find(id);
  invariant(found->second->held.empty() && found->second->sink == nullptr,
            "a session is removed that is connected or holds inodes");
  came_back(*found->second);
  sessions_.erase(found);
}

void SessionTable::came_back(Session& session) {
  if (std::exchange(session.back_since_start, true)) return;
  --not_back_;
  if (session.record.wants_leases) --not_back_with_leases_;
}

Result<void> SessionTable::check_may_hold(const Session& session) const {
  if (session.held.size() < options_.held_max) return {};
  return fail(Errc::no_memory, fmt::format("the session holds {} files open, which is the limit",
                                           session.held.size()));
}

void SessionTable::hold(Session& session, InodeId inode, std::uint32_t count) {
  const std::uint32_t added = add_hold(session, inode, count);
  changes_.push_back({Change::Kind::held, &session, inode.value(), added});
}

void SessionTable::release(Session& session, InodeId inode, std::uint32_t count) {
  const std::uint32_t dropped = drop_hold(session, inode, count);
  if (dropped > 0)
    changes_.push_back({Change::Kind::released, &session, inode.value(), dropped});
}

void SessionTable::reply_stored(Session& session, Sequence sequence, std::uint64_t change) {
  session.replies.add(sequence, change);
  changes_.push_back({Change::Kind::reply_stored, &session, sequence.value()});
}

void SessionTable::reply_erased(Session& session, Sequence sequence) {
  changes_.push_back({.kind = Change::Kind::reply_erased,
                      .session = &session,
                      .subject = sequence.value(),
                      .change = session.replies.change_of(sequence)});
  session.replies.remove(sequence);
}

void SessionTable::keep() {
  changes_.clear();
  newly_expected_.clear();
  if (affirmed_.empty()) return;
  const SteadyTime due = orphan_due();
  for (const InodeId inode : affirmed_) orphans_.add(inode, due);
  affirmed_.clear();
}

void SessionTable::undo() {
  for (auto change = changes_.rbegin(); change != changes_.rend(); ++change) {
    Session& session = *change->session;
    switch (change->kind) {
      case Change::Kind::held:
        drop_hold(session, InodeId{change->subject}, change->count);
        break;
      case Change::Kind::released:
        add_hold(session, InodeId{change->subject}, change->count);
        break;
      case Change::Kind::reply_stored:
        session.replies.remove(Sequence{change->subject});
        break;
      case Change::Kind::reply_erased:
        session.replies.add(Sequence{change->subject}, change->change);
        break;
    }
  }
  changes_.clear();
  affirmed_.clear();
  for (const InodeId inode : newly_expected_) expected_.erase(inode);
  newly_expected_.clear();
}

bool SessionTable::is_held(InodeId inode) const {
  const bool asks = current_ != nullptr && current_->sink != nullptr;
  const std::size_t others = connected_ + not_back_ - (asks ? 1 : 0);
  const bool doubtful = others > 0 && orphans_.size() < kOrphansWaitingMax;
  const bool held = is_open(inode) || doubtful || expected_.contains(inode);
  if (held) affirmed_.push_back(inode);
  return held;
}

void SessionTable::may_be_held(InodeId inode) const {
  if (orphans_.size() >= kOrphansWaitingMax) return;
  if (expected_.insert(inode).second) newly_expected_.push_back(inode);
}

SteadyTime SessionTable::orphan_due() const {
  const SteadyTime due = clock_.now() + options_.orphan_grace;
  return not_back_ == 0 ? due : std::max(due, started_ + options_.restart_grace);
}

std::vector<std::shared_ptr<ReplySink>> SessionTable::sinks() const {
  std::vector<std::shared_ptr<ReplySink>> all;
  for (const auto& [id, session] : sessions_)
    if (session->sink != nullptr) all.push_back(session->sink);
  return all;
}

std::uint32_t SessionTable::add_hold(Session& session, InodeId inode, std::uint32_t count) {
  std::uint32_t& holds = session.held[inode];
  const std::uint32_t added = std::min(count, std::numeric_limits<std::uint32_t>::max() - holds);
  holds += added;
  holders_[inode] += added;
  return added;
}

std::uint32_t SessionTable::drop_hold(Session& session, InodeId inode, std::uint32_t count) {
  const auto held = session.held.find(inode);
  if (held == session.held.end()) return 0;
  const std::uint32_t dropped = std::min(count, held->second);
  if ((held->second -= dropped) == 0) session.held.erase(held);
  const auto holder = holders_.find(inode);
  if ((holder->second -= dropped) == 0) {
    holders_.erase(holder);
    orphans_.released(inode, clock_.now());
  }
  return dropped;
}

}  // namespace dfs
