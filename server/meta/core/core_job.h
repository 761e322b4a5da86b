// Work for the core that is not a request of a session. Runs alone: its
// changes are a batch of their own.
#pragma once

#include "common/base/result.h"
#include "server/meta/core/core_state.h"

namespace dfs {

class CoreJob {
 public:
  virtual ~CoreJob() = default;
  // Changes state.txn. After an error nothing is committed.
  virtual Result<void> change(CoreState& state) = 0;
  // Once, with the error of change() or of the commit if there was one; in
  // the core again, so that memory follows what is durable before anything
  // else runs. Never blocks. `state` is null if the core has stopped.
  virtual void finish(CoreState* state, Result<void> committed) = 0;

  // After finish(): the answer was kept back, for somebody will act on it for good,
  // and what was committed must survive power loss before. Then answer() gives it,
  // once, from any thread; an error says that it could not be made stable.
  virtual bool waits_until_stable() const { return false; }
  virtual void answer(const Result<void>& stable) { static_cast<void>(stable); }
};

}  // namespace dfs
