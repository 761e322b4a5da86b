// The leases of the metadata double, by the rules of proto/dfs/v1/meta.proto and
// nothing else: many may read, or one may write.
//
//   * What a request changes nobody else may have a lease on, and what it tells
//     of nobody else may be writing: it waits until that has been given back.
//   * A session that is asked for a lease gets none on that inode meanwhile, nor
//     does one that comes later than those who wait for it.
//
// Threads: none of its own; whoever has it locks.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "common/rpc/meta_api.h"

namespace dfs {

class FakeLeases {
 public:
  // Others may have at most `keep` on the inode while a request is run.
  struct Need {
    InodeId inode;
    LeaseKind keep = LeaseKind::none;
  };
  using Needs = std::vector<Need>;
  using Recalled = std::function<void(const LeaseRecall&)>;
  // What is to be said, when nothing is locked.
  using ToSend = std::vector<std::pair<Recalled, LeaseRecall>>;

  // --- sessions ---
  void join(SessionId session, Recalled recalled) { sessions_[session] = std::move(recalled); }
  void leave(SessionId session) {
    sessions_.erase(session);
    std::erase_if(leases_, [&](const auto& each) { return each.first.first == session; });
    std::erase_if(recalls_, [&](const auto& each) { return each.first.first == session; });
  }
  bool has(SessionId session) const { return sessions_.contains(session); }
  // It has exactly what it claims, but for what others have by now: that is returned.
  std::vector<InodeId> came(SessionId session, const LeaseClaims& claims) {
    const Recalled recalled = sessions_.at(session);
    leave(session);
    join(session, recalled);
    std::vector<InodeId> lost;
    const auto claim = [&](InodeId inode, LeaseKind kind) {
      const bool free = most_elsewhere(session, inode) <= keep_beside(kind);
      if (free) leases_[{session, inode}] = {kind, order_};
      else lost.push_back(inode);
    };
    for (const InodeId inode : claims.read) claim(inode, LeaseKind::read);
    for (const InodeId inode : claims.write) claim(inode, LeaseKind::write);
    return lost;
  }

  // --- requests ---
  bool is_clear(SessionId session, const Needs& needs) const {
    return std::all_of(needs.begin(), needs.end(), [&](const Need& need) {
      return most_elsewhere(session, need.inode) <= need.keep;
    });
  }
  ToSend ask_back(SessionId session, const Needs& needs) {
    ToSend to_send;
    for (const auto& [key, lease] : leases_) {
      for (const Need& need : needs) {
        if (key.first == session || key.second != need.inode || lease.kind <= need.keep) continue;
        const auto asked = recalls_.find(key);
        if (asked != recalls_.end() && asked->second.keep <= need.keep) continue;
        recalls_[key] = {++order_, need.keep};
        to_send.push_back({sessions_.at(key.first), {order_, {{key.second, need.keep}}}});
        ++recalls_sent;
      }
    }
    return to_send;
  }
  // Nobody else gets what these need until end_wait().
  void begin_wait(SessionId session, const Needs& needs) {
    for (const Need& need : needs) wanted_.insert({{need.inode, session}, need.keep});
  }
  void end_wait(SessionId session, const Needs& needs) {
    for (const Need& need : needs) {
      const auto [first, last] = wanted_.equal_range({need.inode, session});
      const auto mine = std::find_if(first, last,
                                     [&](const auto& each) { return each.second == need.keep; });
      if (mine != last) wanted_.erase(mine);
    }
  }
  enum class Turn { first, own };  // own: it has waited
  // All grants of one answer have the same `order`, 0 before the first.
  LeaseKind grant(SessionId session, InodeId inode, LeaseKind wish, Turn turn,
                  std::uint64_t& order) {
    const Key key{session, inode};
    if (!has(session) || recalls_.contains(key)) return LeaseKind::none;
    const LeaseKind elsewhere = most_elsewhere(session, inode);
    if (elsewhere >= LeaseKind::write) return LeaseKind::none;
    if (elsewhere == LeaseKind::read) wish = LeaseKind::read;
    const LeaseKind own = kind(session, inode);
    LeaseKind granted = own == LeaseKind::write ? own : std::max(own, wish);
    if (turn == Turn::first) {
      if (is_wanted(session, inode, LeaseKind::read)) return LeaseKind::none;
      if (is_wanted(session, inode, granted)) granted = LeaseKind::read;
    }
    if (order == 0) order = ++order_;
    leases_[key] = {granted, order};
    return granted;
  }
  void give_back(SessionId session, const ReturnedLease& returned) {
    const Key key{session, returned.inode};
    const auto lease = leases_.find(key);
    if (lease != leases_.end() && lease->second.order <= returned.order) {
      lease->second.kind = std::min(lease->second.kind, returned.keep);
      if (lease->second.kind == LeaseKind::none) leases_.erase(lease);
    }
    const auto recall = recalls_.find(key);
    if (recall != recalls_.end() && recall->second.order <= returned.order) recalls_.erase(recall);
  }

  LeaseKind kind(SessionId session, InodeId inode) const {
    const auto lease = leases_.find({session, inode});
    return lease == leases_.end() ? LeaseKind::none : lease->second.kind;
  }
  LeaseKind most_elsewhere(SessionId session, InodeId inode) const {
    LeaseKind most = LeaseKind::none;
    for (const auto& [key, lease] : leases_)
      if (key.first != session && key.second == inode) most = std::max(most, lease.kind);
    return most;
  }
  std::uint64_t order() const { return order_; }
  // As after a start of the server.
  void begin_life() { order_ = ((order_ >> 40) + 1) << 40; }

  // --- for tests ---
  // So contended that a lease to write is for one write only.
  std::set<InodeId> contended;
  std::size_t recalls_sent = 0;

 private:
  using Key = std::pair<SessionId, InodeId>;
  struct Lease {
    LeaseKind kind = LeaseKind::none;
    std::uint64_t order = 0;  // of the latest grant
  };
  struct Recall {
    std::uint64_t order = 0;
    LeaseKind keep = LeaseKind::none;
  };

  static LeaseKind keep_beside(LeaseKind kind) {
    return kind == LeaseKind::read ? LeaseKind::read : LeaseKind::none;
  }
  bool is_wanted(SessionId session, InodeId inode, LeaseKind kind) const {
    return std::any_of(wanted_.begin(), wanted_.end(), [&](const auto& each) {
      const auto& [wanted, by] = each.first;
      return wanted == inode && by != session && kind > each.second;
    });
  }

  std::uint64_t order_ = 0;
  std::map<SessionId, Recalled> sessions_;
  std::map<Key, Lease> leases_;
  std::map<Key, Recall> recalls_;  // not answered yet
  std::multimap<std::pair<InodeId, SessionId>, LeaseKind> wanted_;
};

}  // namespace dfs
