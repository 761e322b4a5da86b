// How sessions come and go, as work of the core.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/rpc/types.h"
#include "server/meta/core/core_job.h"
#include "server/meta/core/core_state.h"
#include "server/meta/core/reply_sink.h"

namespace dfs {

struct HelloArgs {
  std::string cluster;  // expected; empty: any
  SessionId session;    // to go on with; 0: a new one
  Epoch epoch;          // of the session to go on with
  Sequence succeeded = {};  // the largest that it was told to have succeeded
  std::uint64_t changes_told = 0;  // the largest number of a change that it was told
  std::string program;
  std::string host;
  std::string place;
  std::uint64_t process = 0;
  std::vector<InodeId> held;  // an inode once for each hold
  std::vector<HeldLock> locks;
  bool wants_leases = false;
  LeaseClaims leases;
  // A process that does not know what the session has, `held` aside, goes on with
  // it: nothing of that is lost, and the welcome tells.
  bool adopts = false;
};
struct WelcomeResult {
  std::string cluster;
  SessionId session;
  Epoch epoch;
  bool resumed = false;
  WallNanos server_time = 0;
  GroupTablePtr group_table;
  std::uint32_t chunk_size = 0;
  std::chrono::milliseconds session_timeout{0};
  LeaseTerms leases;
  std::optional<SessionEstate> estate;  // resumed by one that adopts
};
using WelcomeReply = std::function<void(Result<WelcomeResult>)>;

// Answers in the core: nothing else reaches `sink` before `reply` returned.
//   wrong_cluster  the client expects another one
//   overloaded     there are as many sessions as the settings allow
//   bad_message    a text or the list of what is held is too long
std::unique_ptr<CoreJob> make_hello_job(HelloArgs args, std::shared_ptr<ReplySink> sink,
                                        WelcomeReply reply);

// The stream over which `session` came in `epoch` is gone.
std::unique_ptr<CoreJob> make_disconnect_job(SessionId session, Epoch epoch);

// `session` has said goodbye over its stream of `epoch`: releases what it
// holds and forgets it with its replies. What is too much for one batch is
// left to the housekeeping; nobody sees the session meanwhile. `done` is
// called in the core when nothing more will be said to the stream.
std::unique_ptr<CoreJob> make_goodbye_job(SessionId session, Epoch epoch,
                                          std::function<void()> done);

// For the change() of a job: a bounded part of ending `session`, which is
// ending in the table. `done`: once that is committed, state.sessions.remove().
enum class SessionEnd { more, done };
Result<SessionEnd> end_some_of_session(CoreState& state, SessionId session);

}  // namespace dfs
