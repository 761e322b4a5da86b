#include "server/meta/sessions/lease_desk.h"

#include <algorithm>

#include <fmt/format.h>

#include "common/rpc/lease_orders.h"

namespace dfs {
namespace {

// What a session with too many leases is asked for at once.
constexpr std::size_t kRoomAtOnceMax = 256;
// A session may have a sixteenth more than it should until it has given some
// back; and goes down to a sixteenth less.
constexpr std::size_t kRoomShare = 16;
constexpr std::size_t kReleasedAtOnceMax = 4'096;

Counter& recall_counter(const char* kind) {
  return metrics().counter("dfs_meta_lease_recalls_total",
                           "Leases that sessions were asked to give back, by what they had.",
                           {{"kind", kind}});
}

Counter& switch_counter(const char* to) {
  return metrics().counter("dfs_meta_contention_switches_total",
                           "Inodes that sessions began or ceased to write in turns.",
                           {{"to", to}});
}
void catch_up(Counter& counter, std::uint64_t& shown, std::uint64_t count) {
  if (count == shown) return;
  counter.add(static_cast<double>(count - std::exchange(shown, count)));
}

// Calls `visit(inode, keep)` once for leases of several sessions on one inode,
// which lie together.
template <typename Visit>
void for_each_want(const std::vector<LeaseInTheWay>& in_the_way, const Visit& visit) {
  const LeaseInTheWay* before = nullptr;
  for (const LeaseInTheWay& each : in_the_way) {
    const bool same = before != nullptr && before->lease.inode == each.lease.inode &&
                      before->keep == each.keep;
    if (!same) visit(each.lease.inode, each.keep);
    before = &each;
  }
}

// What a session has that is granted `wish` on top of `own`.
LeaseKind with(LeaseKind own, LeaseKind wish) {
  if (own == LeaseKind::write) return own;
  return std::max(own, wish);
}

}  // namespace

LeaseDesk::LeaseDesk(const Clock& clock, LeaseLimits limits, std::uint64_t starts)
    : clock_(clock),
      limits_(limits),
      order_(lease_order_before(starts)),
      leases_gauge_(metrics().gauge("dfs_meta_leases", "Leases that sessions have.")),
      waits_gauge_(
          metrics().gauge("dfs_meta_lease_waits", "Requests that wait for leases of others.")),
      wait_seconds_(metrics().histogram("dfs_meta_lease_wait_seconds",
                                        "How long requests waited for leases of others.",
                                        {0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 10, 60})),
      recalls_of_reads_(recall_counter("read")),
      recalls_of_writes_(recall_counter("write")),
      contended_gauge_(metrics().gauge("dfs_meta_contended_inodes",
                                       "Inodes that sessions write in turns.")),
      to_contended_(switch_counter("contended")),
      to_calm_(switch_counter("calm")) {}

// --- grants ----------------------------------------------------------------------

LeaseKind LeaseDesk::grant(LeaseKey key, LeaseKind wish, Turn turn, std::uint64_t& order) {
  if (!recalls_.empty() && recalls_.contains(key)) return LeaseKind::none;
  const LeaseTable::Standing standing = table_.standing(key);
  if (is_for_writing(standing.elsewhere)) return LeaseKind::none;
  if (standing.elsewhere == LeaseKind::read) wish = LeaseKind::read;
  LeaseKind kind = with(standing.own, wish);
  const bool is_new = standing.own == LeaseKind::none;
  // What the session has it has until it is asked for it.
  if (turn == Turn::first && kind != standing.own && !wanted_.empty()) {
    if (is_wanted(key, kind)) kind = std::max(standing.own, LeaseKind::read);
    if (is_new && is_wanted(key, kind)) return LeaseKind::none;
  }
  if (is_new && table_.count(key.session) >= leases_most()) return LeaseKind::none;
  if (order == 0) order = ++order_;
  table_.grant(key, kind, order);
  if (is_new && table_.count(key.session) > limits_.leases_per_session_max) make_room(key.session);
  return kind;
}

std::size_t LeaseDesk::leases_most() const {
  return limits_.leases_per_session_max + limits_.leases_per_session_max / kRoomShare;
}

bool LeaseDesk::is_wanted(LeaseKey key, LeaseKind kind) const {
  const auto wanted = wanted_.find(key.inode);
  if (wanted == wanted_.end()) return false;
  return std::any_of(wanted->second.begin(), wanted->second.end(), [&](const Want& want) {
    return want.session != key.session && kind > want.keep;
  });
}

void LeaseDesk::make_room(SessionId session) {
  const std::size_t target =
      limits_.leases_per_session_max - limits_.leases_per_session_max / kRoomShare;
  const std::size_t count = table_.count(session);
  if (count <= target || making_room_.contains(session)) return;
  std::vector<InodeId> oldest;
  const std::size_t wanted = std::min(count - target, kRoomAtOnceMax);
  table_.visit_oldest(session, [&](const LeaseTable::Lease& lease) {
    if (!recalls_.contains({session, lease.inode})) oldest.push_back(lease.inode);
    return oldest.size() < wanted;
  });
  if (oldest.empty()) return;
  for (const InodeId inode : oldest) ask_back({session, inode}, LeaseKind::none).for_room = true;
  making_room_[session] = oldest.size();
}

void LeaseDesk::asked_to_write(LeaseKey key) {
  if (!contention_.is_empty()) contention_.asked(key.inode, key.session, clock_.now());
}

bool LeaseDesk::is_contended(InodeId inode) {
  return !contention_.is_empty() && contention_.is_contended(inode, clock_.now());
}

// --- what is given up --------------------------------------------------------------

void LeaseDesk::give_back(SessionId session, const ReturnedLease& lease) {
  const LeaseKey key{session, lease.inode};
  table_.give_back(key, lease.keep, lease.order);
  const auto recall = recalls_.find(key);
  if (recall == recalls_.end()) return;
  const Recall& asked = recall->second;
  const bool answered = asked.order <= lease.order && lease.keep <= asked.keep;
  if (answered || table_.kind(key) <= asked.keep) finish(recall);
}

void LeaseDesk::gone(InodeId inode) {
  table_.drop(inode, [&](SessionId session) { settle({session, inode}); });
}

std::vector<InodeId> LeaseDesk::came(SessionId session, const LeaseClaims& claims) {
  went(session);
  std::vector<InodeId> lost;
  std::size_t room = leases_most();
  const auto take = [&](const std::vector<InodeId>& inodes, LeaseKind kind) {
    for (const InodeId inode : inodes) {
      if (room > 0 && table_.claim({session, inode}, kind, order_))
        --room;
      else
        lost.push_back(inode);
    }
  };
  take(claims.read, LeaseKind::read);
  take(claims.write, LeaseKind::write);
  table_.end_claims(session, [](InodeId) {});

  to_send_.erase(session);
  auto recall = recalls_.lower_bound({session, InodeId{}});
  while (recall != recalls_.end() && recall->first.session == session) {
    const auto next = std::next(recall);
    if (table_.kind(recall->first) <= recall->second.keep) {
      finish(recall);
    } else {
      LeaseRecall& message = to_send_[session];
      message.order = std::max(message.order, recall->second.order);
      message.leases.push_back({recall->first.inode, recall->second.keep});
    }
    recall = next;
  }
  return lost;
}

void LeaseDesk::went(SessionId session) {
  if (!waits_of_.contains(session)) return;
  for (auto wait = waits_.begin(); wait != waits_.end();) {
    const auto next = std::next(wait);
    if (wait->second.waiting.session == session) remove_wait(wait);
    wait = next;
  }
}

bool LeaseDesk::release_some(SessionId session) {
  went(session);
  to_send_.erase(session);
  return table_.release_some(session, kReleasedAtOnceMax,
                             [&](InodeId inode) { settle({session, inode}); });
}

void LeaseDesk::undo() {
  table_.undo([&](LeaseKey key) { settle(key); });
}

// --- recalls -----------------------------------------------------------------------

LeaseDesk::Recall& LeaseDesk::ask_back(LeaseKey key, LeaseKind keep) {
  const auto [found, is_new] = recalls_.try_emplace(key);
  Recall& recall = found->second;
  if (is_new) recall.deadline = deadlines_.end();
  if (!is_new && recall.keep <= keep) return recall;
  const bool writes = is_for_writing(table_.kind(key));
  (writes ? recalls_of_writes_ : recalls_of_reads_).add();
  recall.order = ++order_;
  recall.keep = keep;
  // What the session was granted between two recalls of one message is not in it.
  LeaseRecall& message = to_send_[key.session];
  message.order = recall.order;
  message.leases.push_back({key.inode, keep});
  return recall;
}

void LeaseDesk::ask_others(LeaseKey key) {
  std::vector<SessionId> others;
  table_.visit_elsewhere(key, LeaseKind::none, [&](const LeaseTable::Lease& lease) {
    others.push_back(lease.holder->session);
  });
  for (const SessionId session : others) ask_back({session, key.inode}, LeaseKind::none);
}

std::optional<LeaseKey> LeaseDesk::take_overdue() {
  const auto first = deadlines_.begin();
  if (first == deadlines_.end() || first->first >= clock_.now()) return std::nullopt;
  const LeaseKey lease = first->second;
  recalls_.at(lease).deadline = deadlines_.end();
  deadlines_.erase(first);
  return lease;
}

void LeaseDesk::settle(LeaseKey key) {
  if (recalls_.empty()) return;
  const auto recall = recalls_.find(key);
  if (recall != recalls_.end() && table_.kind(key) <= recall->second.keep) finish(recall);
}

void LeaseDesk::finish(Recalls::iterator recall) {
  const SessionId session = recall->first.session;
  const Recall finished = std::move(recall->second);
  if (finished.deadline != deadlines_.end()) deadlines_.erase(finished.deadline);
  recalls_.erase(recall);
  for (const std::uint64_t place : finished.places) unblock(place);
  if (!finished.for_room) return;
  const auto room = making_room_.find(session);
  if (--room->second > 0) return;
  making_room_.erase(room);
  make_room(session);
}

// --- waits -------------------------------------------------------------------------

Result<void> LeaseDesk::check_may_wait(SessionId session, const CoreRequest& request) const {
  if (request.place != 0) return {};
  const auto found = waits_of_.find(session);
  const std::size_t of_session = found != waits_of_.end() ? found->second : 0;
  if (of_session < limits_.waits_per_session_max && waits_.size() < limits_.waits_max) return {};
  return fail(Errc::overloaded,
              fmt::format("{} requests, {} of them of this session, wait for what other sessions "
                          "are to give back",
                          waits_.size(), of_session));
}

void LeaseDesk::wait(Waiting waiting, const std::vector<LeaseInTheWay>& in_the_way) {
  const SessionId session = waiting.session;
  CoreRequest& request = waiting.request;
  if (request.place == 0) {
    request.place = ++last_place_;
    request.waits_since = clock_.now();
  }
  const std::uint64_t place = request.place;
  waits_[place] = {std::move(waiting), in_the_way, std::max<std::size_t>(in_the_way.size(), 1)};
  ++waits_of_[session];
  if (in_the_way.empty()) put_off_.push_back(place);
  for_each_want(in_the_way, [&](InodeId inode, LeaseKind keep) {
    wanted_[inode].push_back({session, keep});
  });
  for (const auto& [lease, keep] : in_the_way) {
    if (table_.kind(lease) == LeaseKind::write && !recalls_.contains(lease))
      contention_.taken(lease.inode, clock_.now());
    Recall& recall = ask_back(lease, keep);
    recall.places.push_back(place);
    if (recall.deadline == deadlines_.end())
      recall.deadline = deadlines_.emplace(clock_.now() + limits_.lease_time, lease);
  }
}

void LeaseDesk::end_grace() {
  for (const std::uint64_t place : std::exchange(put_off_, {})) unblock(place);
}

LeaseDesk::Waiting LeaseDesk::take_ready() {
  const auto wait = waits_.find(*ready_.begin());
  Waiting waiting = std::move(wait->second.waiting);
  remove_wait(wait);
  return waiting;
}

void LeaseDesk::served(const CoreRequest& request) {
  wait_seconds_.observe(std::chrono::duration<double>(clock_.now() - request.waits_since).count());
}

// Of one that may have gone with its stream.
void LeaseDesk::unblock(std::uint64_t place) {
  const auto wait = waits_.find(place);
  if (wait != waits_.end() && --wait->second.blocked == 0) ready_.insert(place);
}

void LeaseDesk::remove_wait(Waits::iterator wait) {
  const SessionId session = wait->second.waiting.session;
  for_each_want(wait->second.in_the_way, [&](InodeId inode, LeaseKind keep) {
    const auto wanted = wanted_.find(inode);
    std::vector<Want>& wants = wanted->second;
    wants.erase(std::find(wants.begin(), wants.end(), Want{session, keep}));
    if (wants.empty()) wanted_.erase(wanted);
  });
  for (const LeaseInTheWay& each : wait->second.in_the_way) leave(each.lease, wait->first);
  const auto count = waits_of_.find(session);
  if (--count->second == 0) waits_of_.erase(count);
  ready_.erase(wait->first);
  waits_.erase(wait);
}

// Nobody has to answer in time where nobody waits.
void LeaseDesk::leave(LeaseKey lease, std::uint64_t place) {
  const auto recall = recalls_.find(lease);
  if (recall == recalls_.end()) return;
  Recall& asked = recall->second;
  std::erase(asked.places, place);
  if (!asked.places.empty() || asked.deadline == deadlines_.end()) return;
  deadlines_.erase(std::exchange(asked.deadline, deadlines_.end()));
}

void LeaseDesk::show_counts() {
  leases_gauge_.set(static_cast<double>(table_.size()));
  contended_gauge_.set(static_cast<double>(contention_.contended()));
  catch_up(to_contended_, shown_to_contended_, contention_.switches_to_contended());
  catch_up(to_calm_, shown_to_calm_, contention_.switches_to_calm());
  waits_gauge_.set(static_cast<double>(waits_.size()));
}

}  // namespace dfs
