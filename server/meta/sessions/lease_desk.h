// Leases as sessions get and lose them, over the table of leases: who is
// asked to give something back, and which requests wait for it.
//
// A request that would change, or tell of, what another session has a lease on
// waits until that is given back or its session is gone, and is run anew then.
// Of requests that wait, the one that came first is run first; what they need
// is given to nobody else meanwhile.
//
// Orders: each grant and each recall has a number that grows over all lives of
// the server. A grant is void if a recall has a higher number, and a lease is
// given back by a number at least as high as that of its grant. So neither end
// minds in which order it learns of a grant and of a recall.
//
// In memory only. After a start each session says again what it has (came());
// until all that a former process knew have done so or ended, what any of them
// might be asked for is put off (end_grace()).
//
// An answer that comes later is lost if the stream of its request breaks: the
// session repeats the request over its next one.
//
// Threads: the core's; no locks.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/base/metrics.h"
#include "server/meta/core/core_request.h"
#include "server/meta/core/reply_sink.h"
#include "server/meta/sessions/contention.h"
#include "server/meta/sessions/lease_table.h"

namespace dfs {

// Another session's lease that is in the way of a request unless it is at most `keep`.
struct LeaseInTheWay {
  LeaseKey lease;
  LeaseKind keep = LeaseKind::none;
};

class LeaseDesk {
 public:
  // `starts`: how often a server has begun to serve this cluster, this time
  // included. `clock` must outlive the desk.
  LeaseDesk(const Clock& clock, LeaseLimits limits, std::uint64_t starts);

  const LeaseTable& table() const { return table_; }
  // The highest number that was given to a grant or a recall.
  std::uint64_t order() const { return order_; }

  // --- grants ------------------------------------------------------------------

  // Of a request that runs for the first time, or that has waited for its turn.
  enum class Turn { first, own };
  // What the session gets with an answer that tells of the inode: `wish`, or
  // less if others are in the way or wait. All grants of one answer have the
  // same `order`; 0: there was none yet.
  LeaseKind grant(LeaseKey key, LeaseKind wish, Turn turn, std::uint64_t& order);

  // A session asks to write the inode; to be said once for each request.
  void asked_to_write(LeaseKey key);
  // Sessions write it in turns: a lease to write would be taken back at once.
  bool is_contended(InodeId inode);
  std::size_t contended() const { return contention_.contended(); }

  // --- what is given up --------------------------------------------------------

  // What was granted by lease.order or before is at most lease.keep from now on,
  // and recalls up to that order that want no more are answered.
  void give_back(SessionId session, const ReturnedLease& lease);
  // There is no such inode any more.
  void gone(InodeId inode);

  // The session's stream has come, with what the session has; returns what of
  // it others have by now. What it was asked for and still has, it is asked for
  // again.
  std::vector<InodeId> came(SessionId session, const LeaseClaims& claims);
  // Its stream has gone: its requests do not wait any more.
  void went(SessionId session);
  // The session ends: a bounded part of it, true when nothing is left.
  bool release_some(SessionId session);

  // --- recalls -----------------------------------------------------------------

  // What is to be sent, one for a session; those that are away get theirs when
  // they come.
  bool has_recalls() const { return !to_send_.empty(); }
  std::map<SessionId, LeaseRecall> take_recalls() { return std::exchange(to_send_, {}); }
  // A lease that somebody has waited for for longer than the lease time. Not
  // returned again, unless somebody else comes to wait for it.
  std::optional<LeaseKey> take_overdue();

  // Asks the others for what they have on the inode, which is not quite true any
  // more. Nobody waits for it.
  void ask_others(LeaseKey key);

  // --- waits -------------------------------------------------------------------

  struct Waiting {
    SessionId session;
    Epoch epoch;
    std::shared_ptr<ReplySink> sink;
    CoreRequest request;
  };
  //   overloaded  too many wait, of this session or of all
  Result<void> check_may_wait(SessionId session, const CoreRequest& request) const;
  // Until `in_the_way` are given back, which is asked for; until end_grace() if
  // that is empty.
  void wait(Waiting waiting, const std::vector<LeaseInTheWay>& in_the_way);
  // All sessions are back.
  void end_grace();
  // Requests that nothing is in the way of any more, the one that came first.
  bool has_ready() const { return !ready_.empty(); }
  Waiting take_ready();
  // One that had to wait has been run to its end.
  void served(const CoreRequest& request);
  std::size_t waits() const { return waits_.size(); }

  void keep() { table_.keep(); }
  void undo();
  // Forgets what was contended; now and then.
  void calm_down() { contention_.expire(clock_.now()); }
  void show_counts();

 private:
  using Deadlines = std::multimap<SteadyTime, LeaseKey>;
  struct Recall {
    std::uint64_t order = 0;
    LeaseKind keep = LeaseKind::none;
    bool for_room = false;              // the session has too many
    std::vector<std::uint64_t> places;  // of those who wait for it
    Deadlines::iterator deadline;       // end(): nobody waits
  };
  using Recalls = std::map<LeaseKey, Recall>;
  struct Wait {
    Waiting waiting;
    std::vector<LeaseInTheWay> in_the_way;
    std::size_t blocked = 0;  // by so many recalls, or by the grace
  };
  using Waits = std::map<std::uint64_t, Wait>;  // by place
  // Somebody waits for leases on an inode to be at most `keep`.
  struct Want {
    SessionId session;
    LeaseKind keep = LeaseKind::none;
    friend bool operator==(const Want&, const Want&) = default;
  };

  std::size_t leases_most() const;
  bool is_wanted(LeaseKey key, LeaseKind kind) const;
  Recall& ask_back(LeaseKey key, LeaseKind keep);
  // What the session has may be all that it was to keep.
  void settle(LeaseKey key);
  void finish(Recalls::iterator recall);
  void unblock(std::uint64_t place);
  void remove_wait(Waits::iterator wait);
  void leave(LeaseKey lease, std::uint64_t place);
  void make_room(SessionId session);

  const Clock& clock_;
  const LeaseLimits limits_;
  LeaseTable table_;
  Contention contention_;
  std::uint64_t order_;
  Recalls recalls_;      // not answered yet
  Deadlines deadlines_;  // of those that somebody waits for
  std::map<SessionId, LeaseRecall> to_send_;
  Waits waits_;
  std::uint64_t last_place_ = 0;
  std::set<std::uint64_t> ready_;
  std::vector<std::uint64_t> put_off_;  // until end_grace()
  std::unordered_map<InodeId, std::vector<Want>> wanted_;
  std::unordered_map<SessionId, std::size_t> waits_of_;
  std::unordered_map<SessionId, std::size_t> making_room_;  // recalls of those with too many
  Gauge& leases_gauge_;
  Gauge& waits_gauge_;
  Histogram& wait_seconds_;
  Counter& recalls_of_reads_;
  Counter& recalls_of_writes_;
  Gauge& contended_gauge_;
  Counter& to_contended_;
  Counter& to_calm_;
  std::uint64_t shown_to_contended_ = 0;
  std::uint64_t shown_to_calm_ = 0;
};

}  // namespace dfs
