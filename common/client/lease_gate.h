// The leases of this session, as far as the server has told: the one place
// that says whether what is known of an inode may still be used.
//
// A fact - attributes, names, extents - is remembered with the order of the
// grant that came with it (Attributes::lease_order). It holds while the lease has
// been there without a break since that grant:
//
//   since <= order of the fact, and nobody has asked for the lease back
//
// Answers and recalls are looked at by different threads, in any order. So a
// grant is void if a recall of its inode has a higher order, whichever comes
// first; recalls are remembered for that, the latest of them (`kRecallsKept`),
// and what is older than those kept is void altogether. So is, between two
// connections, what was not there when the session said what it has: the server
// takes that for the whole.
//
// Nothing is trusted either once the server has been silent for half of the
// lease time: it may have given the leases to others by then.
//
// While a recall is being settled (lease_keeper.h) the lease is still there, since
// the server waits for the answer; but whoever comes meanwhile needs the next one.
//
// Threads: any. No other lock is taken.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "common/base/clock.h"
#include "common/client/wait.h"
#include "common/rpc/meta_api.h"

namespace dfs {

class LeaseGate {
 public:
  static constexpr std::size_t kRecallsKept = 65'536;

  explicit LeaseGate(const Clock& clock) : clock_(clock) {}
  LeaseGate(const LeaseGate&) = delete;
  LeaseGate& operator=(const LeaseGate&) = delete;

  // --- what answers say ---
  void granted(InodeId inode, LeaseKind kind, std::uint64_t order);
  void granted(const Attributes& told) { granted(told.inode, told.lease, told.lease_order); }

  // --- may it be used? ---
  // What was told with `order` is still true.
  bool holds(InodeId inode, std::uint64_t order) const;
  // And will be until the kernel is told otherwise.
  bool keeps(InodeId inode, std::uint64_t order) const;
  bool may_write(InodeId inode) const;
  // Somebody wants it back, and what would be left is not enough.
  bool is_recalled(InodeId inode, LeaseKind kind) const;
  // The grant that it began with; 0: there is none.
  std::uint64_t since(InodeId inode) const;
  // The grant of a lease that is to be given back after one operation.
  std::optional<std::uint64_t> to_give_back(InodeId inode) const;

  // A request waits, here or for the server's answer, for a lease under which it
  // may read or write a range of a file. The kernel has locked pages of it.
  class Waiting {
   public:
    Waiting(LeaseGate& gate, InodeId inode, const FileRange& range);
    ~Waiting();
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;

    // Ends the wait if the lease is there since the grant `since` and no recall is in
    // its way. In one step: a recall that comes earlier leaves the range out of what
    // is forgotten, so the request needs the next lease; one that comes later does not,
    // and waits for the request.
    [[nodiscard]] bool end_under(LeaseKind kind, std::uint64_t since);

   private:
    LeaseGate& gate_;
    const InodeId inode_;
    const FileRange range_;
    bool waits_ = true;
  };
  // Returns when no recall is in the way: there is none, or it leaves what is needed.
  Wake wait_for_recall(InodeId inode, LeaseKind kind, const WaitLimits& limits);

  // Somebody asks the server for a lease that he cannot go on without, and uses it
  // as long as this lives. What is granted serves him once before it goes back,
  // though others want it by then: two who take turns would come away with nothing
  // for as long as each recall is faster than what it is about.
  class Asking {
   public:
    Asking(LeaseGate& gate, InodeId inode);
    ~Asking();
    Asking(const Asking&) = delete;
    Asking& operator=(const Asking&) = delete;
    // The answer is here: granted() is about to be told.
    void answered();

   private:
    LeaseGate& gate_;
    const InodeId inode_;
    bool is_answered_ = false;
  };

  // --- for the keeper ---
  // Somebody who was Asking has been answered; or the answer is on its way, for what
  // is wanted back is not here.
  bool is_about_to_be_used(const RecalledLease& wanted) const;
  // Returns when it is not so any more, or when patience is over.
  void await_use(const RecalledLease& wanted, std::chrono::milliseconds patience);
  // Somebody wants the lease. False: there is nothing to settle but the answer,
  // because it is not here, or because it is being settled already.
  enum class Recalled { absent, settling, begun };
  Recalled recall(const RecalledLease& lease, std::uint64_t order);
  // The ranges of all that are Waiting.
  std::vector<FileRange> waiting(InodeId inode) const;
  // What the recall, as it stands now, leaves.
  LeaseKind leaves(InodeId inode) const;
  // The recall has been settled down to `kept`. Empty, and nothing happens, if less
  // is to be kept by now; else what to answer.
  std::optional<ReturnedLease> settled(InodeId inode, LeaseKind kept);

  // The inode is no more, and so is the lease, unless it is being settled: whoever
  // asked for it gets an answer.
  void gone(InodeId inode);

  // --- the session ---
  // What the session has; it takes no grant from here on up to welcomed().
  LeaseClaims claims();
  // Those of `terms` that are lost are gone when it returns.
  void welcomed(const LeaseTerms& terms);
  // A former process of the session had these; nothing that is known here came with
  // them. Before welcomed(), whose order is `order`.
  void adopt(const LeaseClaims& claims, std::uint64_t order);
  // Forgets everything, and takes no grant up to the terms of the next session.
  std::vector<InodeId> forget_all();
  // The server knew the session at `asked`.
  void confirmed(SteadyTime asked);
  // When trust ends unless the server is heard; empty: no connection yet.
  std::optional<SteadyTime> trusted_until() const;
  // Trust has ended: the read leases are given up, and all inodes that had any lease
  // are returned. Empty if it has not, or if that has been said already.
  std::vector<InodeId> lapse();

  std::size_t size() const;

 private:
  static constexpr std::size_t kShards = 32;

  struct Recall {
    std::uint64_t order = 0;
    LeaseKind keep = LeaseKind::none;
  };
  struct Lease {
    LeaseKind kind = LeaseKind::none;
    std::uint64_t since = 0;
    std::uint64_t latest = 0;
    std::optional<Recall> recall;
  };
  struct Askers {
    std::size_t unanswered = 0;
    std::size_t answered = 0;
  };
  struct Shard {
    std::mutex mutex;
    std::condition_variable changed;
    std::unordered_map<InodeId, Lease> leases;
    // By inode the order of its latest recall; the oldest are in front.
    std::unordered_map<InodeId, std::uint64_t> recalls;
    std::deque<std::pair<InodeId, std::uint64_t>> recalls_by_age;
    std::uint64_t void_through = 0;
    bool between_connections = false;
    std::unordered_multimap<InodeId, FileRange> waiting;
    std::unordered_map<InodeId, Askers> asking;
  };

  Shard& shard_of(InodeId inode) const { return shards_[inode.value() % kShards]; }
  static bool is_in_the_way(const Lease& lease, LeaseKind kind);
  static const Lease* find(const Shard& shard, InodeId inode);
  static void waits_no_more(Shard& shard, InodeId inode, const FileRange& range);
  static bool is_about_to_be_used(const Shard& shard, const RecalledLease& wanted);
  static void remember_recall(Shard& shard, InodeId inode, std::uint64_t order);
  bool trusts_server() const {
    return clock_.now().time_since_epoch().count() < trusted_until_.load(std::memory_order_relaxed);
  }

  const Clock& clock_;
  mutable std::array<Shard, kShards> shards_;
  // As counts of SteadyTime; 0: nothing is trusted.
  std::atomic<std::int64_t> trusted_until_{0};
  std::atomic<std::int64_t> trust_{0};
  std::atomic<std::int64_t> lapsed_{0};  // the end of trust that lapse() has seen
};

}  // namespace dfs
