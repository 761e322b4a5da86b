// The real MetaClient: one session with the metadata server over one stream.
//
// Requests of all callers are combined into frames; answers come in any
// order. When the connection breaks, the session goes on by itself: it
// connects again (pausing 50 ms to 1 s between attempts), resumes, and
// repeats everything unanswered, in order, mutations with the sequences they
// had, so that each happens once. Callers notice a pause.
//
//   * A call that was interrupted or timed out before it was sent never
//     happens; one that was sent may. If it opened a file, the session
//     releases it when the answer arrives.
//   * If the server does not know the session any more (its time ran out), a
//     new one is made. Mutations that had been sent then fail with
//     `session_lost`: whether they happened is unknown. All else is sent again.
//   * A mutation whose caller was interrupted in call_through() stays: it keeps
//     its place in the order and its sequence, is repeated as others are, and
//     its answer goes to `late` on a thread that does nothing else. Only when
//     16,384 such answers are still to come is a caller not let go.
//   * Nobody waits in call_later(): the request stays until it is answered,
//     also beyond `soft_timeout`.
//   * A server of another version or cluster ends the session for good: every
//     call fails with that error.
//   * A session that is remembered (`record`) is gone on with by the next process
//     that is given the record. Until that has hooks for leases, or connects to
//     a new session instead, the server keeps what the session has.
//   * With a `held` hook, releases that were unanswered when it was asked are
//     not repeated: what it lists no longer holds them, and the server starts
//     from that list.
//
// Threads: any. A hook is called on a thread of the connection: it must not
// call the session (post() is allowed) and must not wait.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/result.h"
#include "common/rpc/lease_hooks.h"
#include "common/rpc/meta_client.h"
#include "common/rpc/operation_table.h"
#include "common/rpc/session_memo.h"

namespace dfs {

class MetaSession : public MetaClient {
 public:
  struct Options {
    std::string address;                  // HOST:PORT of the metadata server
    std::string program;                  // "dfs-mount"
    std::string host;                     // this machine, for people; empty: its host name
    std::string place;                    // mount point, or what the program is for
    std::string cluster;                  // expected cluster id; empty: any
    // 0: calls wait for ever. Otherwise `timed_out` after this long.
    std::chrono::milliseconds soft_timeout{0};
    // connect() tries again for this long before it reports that nobody
    // answers; 0: one attempt.
    std::chrono::milliseconds connect_timeout{0};
    // Something is said to the server at least this often.
    std::chrono::milliseconds keep_alive_interval{3000};
    std::size_t unanswered_max = 4096;    // one more caller waits

    // The inodes open here, as often as each is open; asked when a session is
    // resumed or made anew after a loss.
    std::function<std::vector<InodeId>()> held;
    // Every lock held here; asked at the same time.
    std::function<std::vector<HeldLock>()> locks;
    // The session was lost and a new one stands: opens, locks and leases of
    // the old one are gone. Until it returns nothing is sent under the new one, nor
    // is that told by session().
    std::function<void(SessionId new_session)> on_new_session;
    // The session answers recalls: it may be granted leases.
    bool wants_leases = false;
    // Memory that outlives the process: which session this is, and the operations
    // that have not been answered. May be null; else they outlive the session.
    SessionMemo* record = nullptr;
    // What a former process of the session had, as far as that memory tells: for a
    // server that does not know.
    std::function<SessionEstate()> remembered;
    OperationTable* operations = nullptr;
    // What is written here and not committed; told with each sign of life.
    std::function<UnsentBytes()> unsent;
    // A newer group table has been taken over.
    std::function<void(const GroupTablePtr&)> on_group_table;
  };

  // Returns when the server has welcomed us. `clock` must outlive the session.
  //   unavailable    "no metadata server answers at 127.0.0.1:7300: Connection refused"
  //   wrong_version, wrong_cluster   the sentence names both sides'
  //   invalid        the address is none
  static Result<std::unique_ptr<MetaSession>> connect(Options options, Clock& clock);

  // Ends the session as end() does.
  ~MetaSession() override = default;

  // Ends the session in order: sends what was posted and says goodbye, so that
  // the server forgets the session at once; gives that up after 500 ms, or if
  // the server is away. Whatever is unanswered then fails with `session_lost`,
  // late answers included: all have been handed over when it returns. Later
  // calls fail likewise. Idempotent; one thread, and no hook or late callback.
  virtual void end() = 0;

  // The id of the cluster that answered.
  virtual const std::string& cluster() const = 0;
  virtual bool connected() const = 0;
  // It goes on with the session of `record`; false: that was unknown to the server,
  // or there was none.
  virtual bool adopted() const = 0;
  // Hooks that are known only after connecting; call before the session is
  // used by several threads.
  virtual void set_held(std::function<std::vector<InodeId>()> held) = 0;
  virtual void set_locks(std::function<std::vector<HeldLock>()> locks) = 0;
  virtual void set_unsent(std::function<UnsentBytes()> unsent) = 0;
  // Those that the session should have heard already are called before it returns.
  // Before this a session must not ask for anything that grants a lease.
  virtual void set_lease_hooks(LeaseHooks hooks) = 0;
  virtual void set_on_new_session(std::function<void(SessionId)> hook) = 0;
};

}  // namespace dfs
