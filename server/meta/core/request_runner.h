// Runs one request of a session against the core's state: exactly once if it
// is a mutation, with what it holds open noted.
//
// Threads: the core's; no locks.
#pragma once

#include <cstdint>

#include "common/base/metrics.h"
#include "common/rpc/meta_api.h"
#include "server/meta/core/core_state.h"

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
  bool sync = false;  // the answer is to wait until the batch is stable
};

class RequestRunner {
 public:
  // `state` must outlive the runner.
  explicit RequestRunner(CoreState& state);

  // Reads and changes state.txn; nothing is committed here. After an error
  // nothing of the request is left there.
  Outcome run(Session& session, const CoreRequest& request);

  // Erases rows of replies that `session` has acknowledged, a bounded number.
  // To be called when the batch has something to commit anyway.
  void prune_replies(Session& session);

 private:
  Outcome run_mutation(Session& session, const CoreRequest& request);
  Result<MetaResult> repeat(Session& session, const CoreRequest& request);
  Result<MetaResult> dispatch(Session& session, const CoreRequest& request);
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
