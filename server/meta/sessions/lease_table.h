// Who may rely on what: the leases of all sessions.
//
//   * A session has at most one lease on an inode.
//   * While one session has a lease to write, nobody else has any on that inode.
//
// The table has at least what the sessions believe to have: what it grants
// counts before the answer arrives, and what it takes away was given up before.
// Whoever grants has seen to it that nobody is in the way.
//
// What is granted while a batch runs is kept by keep() or taken back by undo(),
// as the batch is. What is given up stays given up.
//
// Grants and questions cost one look into a hash table; on an inode that
// several sessions share, also one into an ordered map.
// Pure: no clock, no I/O. Threads: the core's; no locks.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/base/ids.h"
#include "common/rpc/types.h"

namespace dfs {

struct LeaseLimits {
  std::size_t leases_per_session_max = 200'000;
  std::size_t waits_max = 16'384;
  std::size_t waits_per_session_max = 1'024;
  // How long a recall that somebody waits for may stay without an answer.
  std::chrono::nanoseconds lease_time = std::chrono::seconds{20};
};

constexpr bool is_for_writing(LeaseKind kind) { return kind >= LeaseKind::write; }

struct LeaseKey {
  SessionId session;
  InodeId inode;
  friend auto operator<=>(const LeaseKey&, const LeaseKey&) = default;
};

class LeaseTable {
 public:
  struct Lease;
  // What one session has, in the order in which it was granted or renewed.
  struct Holder {
    SessionId session;
    std::size_t count = 0;
    Lease* newest = nullptr;
    Lease* oldest = nullptr;
  };
  struct Lease {
    Holder* holder = nullptr;  // null: none
    InodeId inode;
    LeaseKind kind = LeaseKind::none;
    bool claimed = false;     // while claims are taken
    std::uint64_t order = 0;  // of the latest grant
    Lease* newer = nullptr;
    Lease* older = nullptr;
  };

  LeaseTable() = default;
  LeaseTable(const LeaseTable&) = delete;
  LeaseTable& operator=(const LeaseTable&) = delete;

  // What the session has, and the most that another one has: none, read or
  // (any kind of) write.
  struct Standing {
    LeaseKind own = LeaseKind::none;
    LeaseKind elsewhere = LeaseKind::none;
  };
  Standing standing(LeaseKey key) const;
  LeaseKind kind(LeaseKey key) const { return standing(key).own; }
  std::size_t count(SessionId session) const;
  LeaseClaims leases_of(SessionId session) const;
  std::size_t size() const { return size_; }
  // Whether any session but this one has a lease on whatever inode.
  bool anybody_but(SessionId session) const { return size_ > count(session); }
  // Calls `visit(lease)` for each lease of another session on the inode that is
  // more than `keep`.
  template <typename Visit>
  void visit_elsewhere(LeaseKey key, LeaseKind keep, const Visit& visit) const;
  // Calls `visit(lease)` for the session's leases, those first that were not
  // granted or renewed for longest, while it returns true.
  template <typename Visit>
  void visit_oldest(SessionId session, const Visit& visit) const;

  // The session has this lease from now on, instead of what it had.
  void grant(LeaseKey key, LeaseKind kind, std::uint64_t order);
  // A lease that was granted by `order` or before becomes `keep`, if that is
  // less; one that was granted later stays.
  void give_back(LeaseKey key, LeaseKind keep, std::uint64_t order);
  // Nobody has a lease on `inode` any more. Calls `visit(session)` for each who had.
  template <typename Visit>
  void drop(InodeId inode, const Visit& visit);

  // A session says what it has: claim() for each, between the other two. What
  // it did not claim is dropped by end_claims(), which calls `visit(inode)`
  // for each. False, and nothing is claimed: another session is in the way.
  // The order of what is new here is `order`.
  bool claim(LeaseKey key, LeaseKind kind, std::uint64_t order);
  template <typename Visit>
  void end_claims(SessionId session, const Visit& visit);

  // Drops up to `count_max` leases of the session, calling `visit(inode)` for
  // each; true when it has none left.
  template <typename Visit>
  bool release_some(SessionId session, std::size_t count_max, const Visit& visit);

  void keep() { changes_.clear(); }
  // Calls `visit(key)` for each lease that is less than before.
  template <typename Visit>
  void undo(const Visit& visit);

 private:
  // Most inodes interest one session.
  struct Inode {
    Lease first;
    std::unique_ptr<std::map<SessionId, Lease>> more;
  };
  using Inodes = std::unordered_map<InodeId, Inode>;
  struct Change {
    LeaseKey key;
    LeaseKind before;
  };

  static const Lease* find(const Inode& inode, SessionId session);
  static Lease* find(Inode& inode, SessionId session) {
    return const_cast<Lease*>(find(std::as_const(inode), session));
  }
  Lease* find(LeaseKey key);
  Lease& add(LeaseKey key);
  void remove(LeaseKey key);
  static void link(Lease& lease);
  static void unlink(Lease& lease);
  void set(LeaseKey key, LeaseKind kind);

  Inodes inodes_;
  std::unordered_map<SessionId, Holder> holders_;  // with at least one lease
  std::size_t size_ = 0;
  std::vector<Change> changes_;  // of the batch that runs
};

// --- the templates ---------------------------------------------------------------

template <typename Visit>
void LeaseTable::visit_elsewhere(LeaseKey key, LeaseKind keep, const Visit& visit) const {
  if (standing(key).elsewhere <= keep) return;
  const Inode& inode = inodes_.find(key.inode)->second;
  const auto look = [&](const Lease& lease) {
    if (lease.kind > keep && lease.holder->session != key.session) visit(lease);
  };
  if (inode.first.holder != nullptr) look(inode.first);
  if (inode.more == nullptr) return;
  for (const auto& [session, lease] : *inode.more) look(lease);
}

template <typename Visit>
void LeaseTable::visit_oldest(SessionId session, const Visit& visit) const {
  const auto holder = holders_.find(session);
  if (holder == holders_.end()) return;
  for (const Lease* lease = holder->second.oldest; lease != nullptr; lease = lease->newer)
    if (!visit(*lease)) return;
}

template <typename Visit>
void LeaseTable::drop(InodeId inode, const Visit& visit) {
  while (true) {
    const auto found = inodes_.find(inode);
    if (found == inodes_.end()) return;
    const Lease& first = found->second.first;
    const SessionId session =
        first.holder != nullptr ? first.holder->session : found->second.more->begin()->first;
    remove({session, inode});
    visit(session);
  }
}

template <typename Visit>
void LeaseTable::end_claims(SessionId session, const Visit& visit) {
  std::vector<InodeId> dropped;
  visit_oldest(session, [&](const Lease& lease) {
    if (!lease.claimed) dropped.push_back(lease.inode);
    const_cast<Lease&>(lease).claimed = false;
    return true;
  });
  for (const InodeId inode : dropped) {
    remove({session, inode});
    visit(inode);
  }
}

template <typename Visit>
bool LeaseTable::release_some(SessionId session, std::size_t count_max, const Visit& visit) {
  while (true) {
    const auto holder = holders_.find(session);
    if (holder == holders_.end()) return true;
    if (count_max-- == 0) return false;
    const InodeId inode = holder->second.oldest->inode;
    remove({session, inode});
    visit(inode);
  }
}

template <typename Visit>
void LeaseTable::undo(const Visit& visit) {
  for (auto change = changes_.rbegin(); change != changes_.rend(); ++change) {
    set(change->key, change->before);
    visit(change->key);
  }
  changes_.clear();
}

}  // namespace dfs
