// The sessions: who they are, what they hold open, which of their mutations
// have been answered.
//
// A session outlives its stream: it is connected or away, and ends when it
// has been away for longer than the timeout. Who they are is durable (rows
// `S`), and so are the replies (rows `R`); what they hold is said again by
// each session when it comes back.
//
// Changes made while a batch runs are kept by keep() or taken back by undo(),
// as the batch is.
//
// Threads: the core's; no locks.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "common/base/clock.h"
#include "server/meta/core/reply_sink.h"
#include "server/meta/ops/operation.h"
#include "server/meta/sessions/orphan_queue.h"
#include "server/meta/sessions/reply_window.h"
#include "server/meta/store/records.h"

namespace dfs {

struct SessionTableOptions {
  std::chrono::nanoseconds timeout = std::chrono::seconds{60};
  // Kept although nobody holds it: an open may be on its way.
  std::chrono::nanoseconds orphan_grace = std::chrono::seconds{3};
  // After a start, when sessions have yet to come back.
  std::chrono::nanoseconds restart_grace = std::chrono::seconds{30};
  std::size_t held_max = 1'000'000;  // inodes of one session
};

struct Session {
  SessionId id;
  SessionRecord record;
  ReplyWindow replies;
  bool replies_loaded = false;  // `replies` shows the table
  std::unordered_map<InodeId, std::uint32_t> held;
  std::shared_ptr<ReplySink> sink;  // null: away
  SteadyTime away_since;
  bool back_since_start = false;
  bool ending = false;
  UnsentBytes unsent;  // as it said last
};

class SessionTable final : public HeldInodes {
 public:
  // `clock` and `orphans` must outlive the table.
  SessionTable(const Clock& clock, OrphanQueue& orphans, SessionTableOptions options);

  // A session that a former process left; away until it comes back.
  void load(SessionId id, SessionRecord record);
  // `in_part`: what it had leases for before the start may still be used, until
  // came_back().
  enum class Return { whole, in_part };
  // Connects a new session, or an old one that goes on: its former stream is
  // told to end. `held` replaces what it held, an inode once for each hold.
  void connect(SessionId id, SessionRecord record, std::shared_ptr<ReplySink> sink,
               const std::vector<InodeId>& held, Return how = Return::whole);
  // It has said all that it has since the start, or will never.
  void came_back(Session& session);
  // Its stream is gone. False, and nothing happens, if it goes on over another one.
  bool disconnect(SessionId id, Epoch epoch);

  // It has said goodbye over the stream of `epoch`: it is ending, as if it had
  // been away for too long. False, and nothing happens, if it goes on over
  // another stream or is not there.
  bool end(SessionId id, Epoch epoch);

  // The session is ending, whatever it says; its stream, if there is one, is told `why`.
  void evict(SessionId id, const Error& why);
  // Those that may have leases and have not come back for longer than `time`
  // after the start.
  std::vector<SessionId> missing_with_leases(std::chrono::nanoseconds time) const;

  // Null if there is none, or if it is ending.
  Session* find(SessionId id);
  // One that has been away for too long or is ending, if any.
  std::optional<SessionId> next_to_end();
  // Does a bounded part of ending a session: releases what it holds. True
  // once nothing is left and remove() may be called.
  bool release_some(SessionId id);
  void remove(SessionId id);

  // Whose request runs now; null: nobody's.
  void set_current(const Session* session) { current_ = session; }
  // `no_memory` if the session holds as many inodes as it may.
  Result<void> check_may_hold(const Session& session) const;
  void hold(Session& session, InodeId inode, std::uint32_t count = 1);
  void release(Session& session, InodeId inode, std::uint32_t count);
  void reply_stored(Session& session, Sequence sequence, std::uint64_t change);
  void reply_erased(Session& session, Sequence sequence);

  void keep();
  void undo();

  // Held by a session; or another session than the current one is connected
  // or has yet to come back since the start: its open may be on its way.
  // So it is after may_be_held(). Remembers what it affirmed: such inodes go to the orphan queue with keep().
  bool is_held(InodeId inode) const override;
  // A hold may be on its way: it is held until it is looked at as an orphan.
  void may_be_held(InodeId inode) const override;
  // It was looked at, and is gone.
  void purged(InodeId inode) { expected_.erase(inode); }
  // Held for sure.
  bool is_open(InodeId inode) const { return holders_.contains(inode); }
  // When to look at an orphan that may be held by sessions still away.
  SteadyTime orphan_due() const;

  const std::unordered_map<SessionId, std::unique_ptr<Session>>& all() const { return sessions_; }
  std::size_t connected_count() const { return connected_; }
  // Each session that a former process knew has come back or is gone.
  bool all_back() const { return not_back_ == 0; }
  // The same of those that may have leases.
  bool leases_are_known() const { return not_back_with_leases_ == 0; }
  // Every connected session's way back.
  std::vector<std::shared_ptr<ReplySink>> sinks() const;

 private:
  struct Change {
    enum class Kind { held, released, reply_stored, reply_erased };
    Kind kind;
    Session* session;
    std::uint64_t subject;         // inode or sequence
    std::uint32_t count = 1;       // held, released
    std::uint64_t change = 0;      // reply_erased
  };

  // How many of `count` there was room for: more than 2^32 are never counted.
  std::uint32_t add_hold(Session& session, InodeId inode, std::uint32_t count);
  // How many of `count` there were.
  std::uint32_t drop_hold(Session& session, InodeId inode, std::uint32_t count);

  const Clock& clock_;
  OrphanQueue& orphans_;
  const SessionTableOptions options_;
  const SteadyTime started_;
  std::unordered_map<SessionId, std::unique_ptr<Session>> sessions_;
  std::unordered_map<InodeId, std::uint64_t> holders_;  // holds of all sessions
  std::size_t connected_ = 0;
  // Sessions loaded that have not come back; those that may have leases.
  std::size_t not_back_ = 0;
  std::size_t not_back_with_leases_ = 0;
  const Session* current_ = nullptr;
  std::vector<Change> changes_;              // of the batch that runs
  mutable std::vector<InodeId> affirmed_;    // by is_held() in it
  // Of which may_be_held() spoke, and which of them in the batch that runs.
  mutable std::unordered_set<InodeId> expected_;
  mutable std::vector<InodeId> newly_expected_;
};

}  // namespace dfs
