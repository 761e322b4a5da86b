// Requests for locks as sessions make them, over the table of locks: where the
// answer to each that waits is to go, and what is put off after a start.
//
// Locks are in memory only. After a start each session says again what it
// holds (replace()); until all that a former process knew have done so or
// ended, nothing new is given and nothing is said about what is held: such
// requests are put off, in order. So no lock is ever given twice. What only
// weakens a lock harms nobody and is done at once.
//
// An answer that comes later is lost if the stream of its request breaks: the
// session repeats the request over its next one.
//
// Threads: the core's; no locks.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "common/base/metrics.h"
#include "server/meta/core/reply_sink.h"
#include "server/meta/sessions/lock_table.h"

namespace dfs {

class LockDesk {
 public:
  explicit LockDesk(LockLimits limits);

  // Of a request that came over `sink`, as request `id` of `session`.
  struct Asker {
    SessionId session;
    std::shared_ptr<ReplySink> sink;
    std::uint64_t id = 0;
  };
  // `put_off`: sessions have yet to come back since the start.
  enum class Grace { over, put_off };
  enum class Answer { now, later };

  // Answer::now: it is done. Errors: those of LockTable::set().
  Result<Answer> set(const Asker& asker, const SetLockArgs& args, Grace grace);
  // Empty: the answer comes later.
  Result<std::optional<LockResult>> get(const Asker& asker, const GetLockArgs& args, Grace grace);
  // The request with this ticket, if it waits, is answered `again`.
  void cancel(SessionId session, std::uint64_t ticket);

  // The session's stream has come (with what the session holds) or gone.
  // Returns how many of `locks` others have by now.
  std::size_t came(SessionId session, const std::vector<HeldLock>& locks);
  void went(SessionId session);
  // The session ends: a bounded part of it, true when nothing is left.
  bool release_some(SessionId session);
  // All sessions are back: what was put off is done.
  void end_grace();

  // An answer that has become due.
  struct Due {
    SessionId session;
    std::shared_ptr<ReplySink> sink;
    std::uint64_t id = 0;
    // Granted: the inode. Asked for: what is in the way.
    Result<std::variant<InodeId, LockResult>> result;
  };
  bool has_due() const { return !due_.empty(); }
  std::vector<Due> take_due() { return std::exchange(due_, {}); }

  const LockTable& table() const { return table_; }
  std::size_t waits() const { return table_.waits() + put_off_.size(); }
  void show_counts();

 private:
  struct PutOff {
    Asker asker;
    std::variant<SetLockArgs, GetLockArgs> args;
  };
  using ByTicket = std::unordered_map<std::uint64_t, Asker>;

  Result<void> put_off(const Asker& asker, std::variant<SetLockArgs, GetLockArgs> args);
  void answer(Asker asker, Result<std::variant<InodeId, LockResult>> result);
  void answer_settled();

  const LockLimits limits_;
  LockTable table_;
  std::unordered_map<SessionId, ByTicket> waiting_;
  std::deque<PutOff> put_off_;
  std::vector<Due> due_;
  Gauge& locks_gauge_;
  Gauge& waits_gauge_;
  Counter& deadlocks_;
};

}  // namespace dfs
