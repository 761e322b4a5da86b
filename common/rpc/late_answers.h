// Answers whose callers have gone (MetaClient::call_through), and the thread
// that hands them over: callbacks take their room's locks, which a thread that
// runs the completion loop may wait for. For meta_session*.cc only.
//
// Threads: any. The thread is made when the first caller goes.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>

#include "common/base/executor.h"
#include "common/rpc/pending_requests.h"

namespace dfs {

class LateAnswers {
 public:
  explicit LateAnswers(std::size_t open_max) : open_max_(open_max) {}

  // Announces an answer; not concurrently with itself. False: too many are to
  // come already, so the caller has to wait for his.
  [[nodiscard]] bool expect();
  // Gives the answer to `request->late`, on the thread. Announced before;
  // `request` has been answered or has failed, and belongs to nobody else.
  void hand_over(PendingRequestPtr request);
  // Returns when everything handed over has been taken. Nothing comes after.
  void stop();

 private:
  const std::size_t open_max_;
  std::atomic<std::size_t> open_{0};
  std::optional<Executor> thread_;
};

}  // namespace dfs
