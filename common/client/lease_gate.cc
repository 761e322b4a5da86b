#include "common/client/lease_gate.h"

#include <algorithm>
#include <utility>

namespace dfs {
namespace {

bool is_write(LeaseKind kind) { return kind >= LeaseKind::write; }

}  // namespace

// A recall of what it takes to read, or write.
bool LeaseGate::is_in_the_way(const Lease& lease, LeaseKind kind) {
  return lease.recall && !(kind == LeaseKind::read && lease.recall->keep == LeaseKind::read);
}

const LeaseGate::Lease* LeaseGate::find(const Shard& shard, InodeId inode) {
  const auto found = shard.leases.find(inode);
  return found == shard.leases.end() ? nullptr : &found->second;
}

// --- what answers say ------------------------------------------------------------------

void LeaseGate::granted(InodeId inode, LeaseKind kind, std::uint64_t order) {
  if (kind == LeaseKind::none || order == 0) return;
  Shard& shard = shard_of(inode);
  const std::lock_guard lock(shard.mutex);
  const auto recalled = shard.recalls.find(inode);
  if (recalled != shard.recalls.end() && recalled->second >= order) return;
  // Of a lease that is here: it may have been claimed as less than this made of it.
  if (shard.between_connections || order <= shard.void_through) return;
  const auto found = shard.leases.find(inode);
  if (found == shard.leases.end()) {
    shard.leases.emplace(inode, Lease{kind, order, order, {}});
    return;
  }
  Lease& lease = found->second;
  // An answer that is older than what is known says nothing new of the kind.
  if (order < lease.latest) return;
  lease.latest = order;
  if (lease.recall) return;
  // A lease that was to be given back may have become a lasting one.
  if (is_write(kind) || !is_write(lease.kind)) lease.kind = kind;
}

// --- may it be used? -------------------------------------------------------------------

bool LeaseGate::holds(InodeId inode, std::uint64_t order) const {
  if (order == 0 || !trusts_server()) return false;
  Shard& shard = shard_of(inode);
  const std::lock_guard lock(shard.mutex);
  const Lease* lease = find(shard, inode);
  return lease != nullptr && lease->since <= order;
}

bool LeaseGate::keeps(InodeId inode, std::uint64_t order) const {
  if (order == 0 || !trusts_server()) return false;
  Shard& shard = shard_of(inode);
  const std::lock_guard lock(shard.mutex);
  const Lease* lease = find(shard, inode);
  return lease != nullptr && lease->since <= order && lease->kind != LeaseKind::write_once &&
         (!lease->recall || lease->recall->keep == LeaseKind::read);
}

bool LeaseGate::may_write(InodeId inode) const {
  if (!trusts_server()) return false;
  Shard& shard = shard_of(inode);
  const std::lock_guard lock(shard.mutex);
  const Lease* lease = find(shard, inode);
  return lease != nullptr && is_write(lease->kind) && !lease->recall;
}

bool LeaseGate::is_recalled(InodeId inode, LeaseKind kind) const {
  Shard& shard = shard_of(inode);
  const std::lock_guard lock(shard.mutex);
  const Lease* lease = find(shard, inode);
  return lease != nullptr && is_in_the_way(*lease, kind);
}

std::uint64_t LeaseGate::since(InodeId inode) const {
  Shard& shard = shard_of(inode);
  const std::lock_guard lock(shard.mutex);
  const Lease* lease = find(shard, inode);
  return lease != nullptr ? lease->since : 0;
}

std::optional<std::uint64_t> LeaseGate::to_give_back(InodeId inode) const {
  Shard& shard = shard_of(inode);
  const std::lock_guard lock(shard.mutex);
  const Lease* lease = find(shard, inode);
  if (lease == nullptr || lease->kind != LeaseKind::write_once) return std::nullopt;
  return lease->latest;
}

LeaseGate::Waiting::Waiting(LeaseGate& gate, InodeId inode, const FileRange& range)
    : gate_(gate), inode_(inode), range_(range) {
  Shard& shard = gate_.shard_of(inode_);
  const std::lock_guard lock(shard.mutex);
  shard.waiting.emplace(inode_, range_);
}

LeaseGate::Waiting::~Waiting() {
  if (!waits_) return;
  Shard& shard = gate_.shard_of(inode_);
  const std::lock_guard lock(shard.mutex);
  waits_no_more(shard, inode_, range_);
}

bool LeaseGate::Waiting::end_under(LeaseKind kind, std::uint64_t since) {
  Shard& shard = gate_.shard_of(inode_);
  const std::lock_guard lock(shard.mutex);
  const Lease* lease = find(shard, inode_);
  if (lease == nullptr || lease->since != since || is_in_the_way(*lease, kind)) return false;
  waits_no_more(shard, inode_, range_);
  waits_ = false;
  return true;
}

void LeaseGate::waits_no_more(Shard& shard, InodeId inode, const FileRange& range) {
  const auto [first, last] = shard.waiting.equal_range(inode);
  const auto mine = std::find_if(first, last, [&](const auto& each) {
    return each.second.offset == range.offset && each.second.length == range.length;
  });
  if (mine != last) shard.waiting.erase(mine);
}

Wake LeaseGate::wait_for_recall(InodeId inode, LeaseKind kind, const WaitLimits& limits) {
  Shard& shard = shard_of(inode);
  std::unique_lock lock(shard.mutex);
  return wait_until(lock, shard.changed, limits, [&] {
    const Lease* lease = find(shard, inode);
    return lease == nullptr || !is_in_the_way(*lease, kind);
  });
}

LeaseGate::Asking::Asking(LeaseGate& gate, InodeId inode) : gate_(gate), inode_(inode) {
  Shard& shard = gate_.shard_of(inode_);
  const std::lock_guard lock(shard.mutex);
  ++shard.asking[inode_].unanswered;
}

LeaseGate::Asking::~Asking() {
  Shard& shard = gate_.shard_of(inode_);
  const std::lock_guard lock(shard.mutex);
  const auto mine = shard.asking.find(inode_);
  Askers& askers = mine->second;
  --(is_answered_ ? askers.answered : askers.unanswered);
  if (askers.answered == 0) shard.changed.notify_all();
  if (askers.answered + askers.unanswered == 0) shard.asking.erase(mine);
}

void LeaseGate::Asking::answered() {
  Shard& shard = gate_.shard_of(inode_);
  const std::lock_guard lock(shard.mutex);
  Askers& askers = shard.asking.at(inode_);
  if (!is_answered_) {
    --askers.unanswered;
    ++askers.answered;
  }
  is_answered_ = true;
}

// --- for the keeper --------------------------------------------------------------------

bool LeaseGate::is_about_to_be_used(const Shard& shard, const RecalledLease& wanted) {
  const auto askers = shard.asking.find(wanted.inode);
  if (askers == shard.asking.end()) return false;
  if (askers->second.answered > 0) return true;
  const Lease* lease = find(shard, wanted.inode);
  return lease == nullptr || lease->kind <= wanted.keep;
}

bool LeaseGate::is_about_to_be_used(const RecalledLease& wanted) const {
  Shard& shard = shard_of(wanted.inode);
  const std::lock_guard lock(shard.mutex);
  return is_about_to_be_used(shard, wanted);
}

void LeaseGate::await_use(const RecalledLease& wanted, std::chrono::milliseconds patience) {
  Shard& shard = shard_of(wanted.inode);
  std::unique_lock lock(shard.mutex);
  shard.changed.wait_for(lock, patience, [&] { return !is_about_to_be_used(shard, wanted); });
}

void LeaseGate::remember_recall(Shard& shard, InodeId inode, std::uint64_t order) {
  std::uint64_t& latest = shard.recalls[inode];
  latest = std::max(latest, order);
  shard.recalls_by_age.emplace_back(inode, order);
  while (shard.recalls_by_age.size() > kRecallsKept / kShards) {
    const auto [oldest, its_order] = shard.recalls_by_age.front();
    shard.recalls_by_age.pop_front();
    shard.void_through = std::max(shard.void_through, its_order);
    const auto kept = shard.recalls.find(oldest);
    if (kept != shard.recalls.end() && kept->second == its_order) shard.recalls.erase(kept);
  }
}

LeaseGate::Recalled LeaseGate::recall(const RecalledLease& wanted, std::uint64_t order) {
  Shard& shard = shard_of(wanted.inode);
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.leases.find(wanted.inode);
  if (found == shard.leases.end() || found->second.since > order) {
    remember_recall(shard, wanted.inode, order);
    return Recalled::absent;
  }
  Lease& lease = found->second;
  if (lease.recall) {
    lease.recall->order = std::max(lease.recall->order, order);
    lease.recall->keep = std::min(lease.recall->keep, wanted.keep);
    return Recalled::settling;
  }
  lease.recall = Recall{order, wanted.keep};
  return Recalled::begun;
}

std::vector<FileRange> LeaseGate::waiting(InodeId inode) const {
  Shard& shard = shard_of(inode);
  const std::lock_guard lock(shard.mutex);
  std::vector<FileRange> ranges;
  const auto [first, last] = shard.waiting.equal_range(inode);
  for (auto each = first; each != last; ++each) ranges.push_back(each->second);
  return ranges;
}

LeaseKind LeaseGate::leaves(InodeId inode) const {
  Shard& shard = shard_of(inode);
  const std::lock_guard lock(shard.mutex);
  const Lease* lease = find(shard, inode);
  if (lease == nullptr || !lease->recall) return LeaseKind::none;
  return lease->recall->keep;
}

std::optional<ReturnedLease> LeaseGate::settled(InodeId inode, LeaseKind kept) {
  Shard& shard = shard_of(inode);
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.leases.find(inode);
  // A new session has begun meanwhile: nobody waits for the answer.
  if (found == shard.leases.end() || !found->second.recall) {
    shard.changed.notify_all();
    return ReturnedLease{inode, LeaseKind::none, 0, 0};
  }
  Lease& lease = found->second;
  if (lease.recall->keep < kept) return std::nullopt;
  // What came meanwhile goes too: of a lease that nobody has asked for, the server
  // does not know that it is on its way back.
  const ReturnedLease answer{inode, kept, std::max(lease.recall->order, lease.latest), 0};
  remember_recall(shard, inode, answer.order);
  if (kept == LeaseKind::none) {
    shard.leases.erase(found);
  } else {
    lease.kind = kept;
    lease.recall.reset();
  }
  shard.changed.notify_all();
  return answer;
}

void LeaseGate::gone(InodeId inode) {
  Shard& shard = shard_of(inode);
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.leases.find(inode);
  if (found != shard.leases.end() && !found->second.recall) shard.leases.erase(found);
}

// --- the session -----------------------------------------------------------------------

LeaseClaims LeaseGate::claims() {
  LeaseClaims claims;
  for (Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    shard.between_connections = true;
    for (const auto& [inode, lease] : shard.leases)
      (is_write(lease.kind) ? claims.write : claims.read).push_back(inode);
  }
  return claims;
}

void LeaseGate::welcomed(const LeaseTerms& terms) {
  trust_.store(std::chrono::nanoseconds(terms.lease_time).count() / 2);
  for (Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    shard.void_through = std::max(shard.void_through, terms.order);
    shard.between_connections = false;
  }
  for (const InodeId inode : terms.lost) {
    Shard& shard = shard_of(inode);
    const std::lock_guard lock(shard.mutex);
    shard.leases.erase(inode);
    shard.changed.notify_all();
  }
}

// They began before anything that asks for them back, and nobody knows when they
// were renewed last.
void LeaseGate::adopt(const LeaseClaims& claims, std::uint64_t order) {
  constexpr std::uint64_t kBeforeAll = 1;
  const auto take = [&](const std::vector<InodeId>& inodes, LeaseKind kind) {
    for (const InodeId inode : inodes) {
      Shard& shard = shard_of(inode);
      const std::lock_guard lock(shard.mutex);
      shard.leases[inode] = Lease{kind, kBeforeAll, order, {}};
    }
  };
  take(claims.read, LeaseKind::read);
  take(claims.write, LeaseKind::write);
}

std::vector<InodeId> LeaseGate::forget_all() {
  std::vector<InodeId> all;
  for (Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    for (const auto& [inode, lease] : shard.leases) all.push_back(inode);
    shard.leases.clear();
    shard.between_connections = true;
    shard.changed.notify_all();
  }
  return all;
}

void LeaseGate::confirmed(SteadyTime asked) {
  const std::int64_t until = asked.time_since_epoch().count() + trust_.load();
  std::int64_t known = trusted_until_.load();
  while (known < until && !trusted_until_.compare_exchange_weak(known, until)) {
  }
}

std::optional<SteadyTime> LeaseGate::trusted_until() const {
  const std::int64_t until = trusted_until_.load();
  if (until == 0) return std::nullopt;
  return SteadyTime(SteadyTime::duration(until));
}

std::vector<InodeId> LeaseGate::lapse() {
  std::vector<InodeId> all;
  const std::int64_t until = trusted_until_.load();
  if (trusts_server() || lapsed_.exchange(until) == until) return all;
  for (Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    for (const auto& [inode, lease] : shard.leases) all.push_back(inode);
    // One that is being settled is the keeper's to end.
    std::erase_if(shard.leases, [](const auto& each) {
      return each.second.kind == LeaseKind::read && !each.second.recall;
    });
  }
  return all;
}

std::size_t LeaseGate::size() const {
  std::size_t total = 0;
  for (Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    total += shard.leases.size();
  }
  return total;
}

}  // namespace dfs
