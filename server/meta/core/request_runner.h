// Runs one request of a session against the core's state: exactly once if it
// is a mutation, with what it holds open noted.
//
// Threads: the core's; no locks.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "common/base/metrics.h"
#include "common/rpc/meta_api.h"
#include "server/meta/core/core_request.h"
#include "server/meta/core/core_state.h"
#include "server/meta/core/reply_sink.h"

namespace dfs {

// A session may have this many replies that it has not acknowledged; one more
// mutation is `overloaded`.
inline constexpr std::size_t kRepliesKeptMax = 8'192;

struct Outcome {
  Result<MetaResult> result;
  enum class When {
    committed,
    stable,  // the answer is to wait until the batch is
    later,   // there is none yet: late_replies() will have it, or state.leases the request
  };
  When when = When::committed;
  std::uint64_t lease_order = 0;  // of the leases in the result
  std::uint64_t change = 0;       // which of the session's changes it is; 0: none
};

// An answer to a request that was run before.
struct LateReply {
  std::shared_ptr<ReplySink> sink;
  CoreReply reply;
};

// True for requests that change or read what is in memory alone: they have
// happened although their batch was refused.
bool is_about_locks(const MetaArgs& args);

class RequestRunner {
 public:
  // `state` must outlive the runner.
  explicit RequestRunner(CoreState& state);

  // Reads and changes state.txn; nothing is committed here. After an error, and
  // if the answer comes later, nothing of the request is left there. One that has
  // to wait for leases of others is moved from: state.leases keeps it.
  Outcome run(Session& session, CoreRequest& request);

  // The same, where `result` is of a request about locks and state.txn has gone
  // back since: the attributes in it are those that hold.
  void refresh(const Session& session, Result<MetaResult>& result);

  // The answers that have become due to requests that had to wait. To be
  // called after each batch and job, when state.txn has no changes.
  std::vector<LateReply> late_replies();

  // Erases rows of replies that `session` has acknowledged, a bounded number.
  // To be called when the batch has something to commit anyway.
  void prune_replies(Session& session);

 private:
  Outcome run_once(Session& session, CoreRequest& request);
  Outcome run_mutation(Session& session, CoreRequest& request);
  Result<MetaResult> repeat(Session& session, const CoreRequest& request);
  // What execute() runs, unless others have to give something up for it.
  Outcome run_operation(Session& session, CoreRequest& request);
  // What is the core's own.
  Result<MetaResult> serve(Session& session, const CoreRequest& request);
  // lease_requests.cc
  void note_wish(const Session& session, const CoreRequest& request);
  bool has_to_wait(const Session& session, const MetaArgs& args, MetaResult& result);
  Outcome wait(Session& session, CoreRequest& request);
  // Says in `result` what the session may rely on from now on; returns the order.
  std::uint64_t grant(const Session& session, const CoreRequest& request, MetaResult& result);
  LeaseKind grant_directory(const Session& session, InodeId inode, std::uint64_t& order);
  void mark_provisional(SessionId session, Attributes& attributes) const;
  Result<MetaResult> return_leases(Session& session, const ReturnLeasesArgs& args);
  Result<MetaResult> hold(Session& session, const HoldArgs& args);
  // lock_requests.cc
  Outcome run_lock(Session& session, const CoreRequest& request);
  Outcome set_lock(Session& session, const CoreRequest& request, const SetLockArgs& args);
  Outcome get_lock(Session& session, const CoreRequest& request, const GetLockArgs& args);
  Result<MetaResult> attributes_of(SessionId session, InodeId inode);
  LockDesk::Grace grace() const;

  Result<MetaResult> allocate(Session& session, const CoreRequest& request,
                              const AllocateArgs& args);
  Result<MetaResult> drain(const CoreRequest& request, const DrainServerArgs& args);
  ClusterStatusResult cluster_status() const;
  void report(const Session& session, const ReportArgs& args);

  CoreState& state_;
  std::vector<LeaseInTheWay> in_the_way_;  // of the request that runs
  std::vector<Counter*> requests_;  // by index of MetaArgs
  Counter& repeats_;
  Counter& reports_;
  SteadyTime last_report_logged_{};
};

}  // namespace dfs
