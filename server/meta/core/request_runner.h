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
#include "server/meta/core/core_state.h"
#include "server/meta/core/reply_sink.h"

namespace dfs {

// A session may have this many replies that it has not acknowledged; one more
// mutation is `overloaded`.
inline constexpr std::size_t kRepliesKeptMax = 8'192;

struct CoreRequest {
  std::uint64_t id = 0;
  Sequence sequence;  // 0: not a mutation
  Caller caller;
  MetaArgs args;
};

struct Outcome {
  Result<MetaResult> result;
  enum class When {
    committed,
    stable,  // the answer is to wait until the batch is
    later,   // there is none yet: late_replies() will have it
  };
  When when = When::committed;
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

  // Reads and changes state.txn; nothing is committed here. After an error
  // nothing of the request is left there.
  Outcome run(Session& session, const CoreRequest& request);

  // The same, where `result` is of a request about locks and state.txn has gone
  // back since: the attributes in it are those that hold.
  void refresh(Result<MetaResult>& result);

  // The answers that have become due to requests that had to wait. To be
  // called after each batch and job, when state.txn has no changes.
  std::vector<LateReply> late_replies();

  // Erases rows of replies that `session` has acknowledged, a bounded number.
  // To be called when the batch has something to commit anyway.
  void prune_replies(Session& session);

 private:
  Outcome run_mutation(Session& session, const CoreRequest& request);
  Result<MetaResult> repeat(Session& session, const CoreRequest& request);
  Result<MetaResult> dispatch(Session& session, const CoreRequest& request);
  // lock_requests.cc
  Outcome run_lock(Session& session, const CoreRequest& request);
  Outcome set_lock(Session& session, const CoreRequest& request, const SetLockArgs& args);
  Outcome get_lock(Session& session, const CoreRequest& request, const GetLockArgs& args);
  Result<MetaResult> attributes_of(InodeId inode);
  LockDesk::Grace grace() const;

  Result<MetaResult> allocate(Session& session, const CoreRequest& request,
                              const AllocateArgs& args);
  ClusterStatusResult cluster_status() const;
  void report(const Session& session, const ReportArgs& args);

  CoreState& state_;
  std::vector<Counter*> requests_;  // by index of MetaArgs
  Counter& repeats_;
  Counter& reports_;
  SteadyTime last_report_logged_{};
};

}  // namespace dfs
