#include "common/rpc/late_answers.h"

#include <utility>

namespace dfs {

bool LateAnswers::expect() {
  if (open_.load() >= open_max_) return false;
  open_.fetch_add(1);
  if (!thread_)
    thread_.emplace(Executor::Options{.name = "meta-late", .threads = 1, .queue_max = open_max_});
  return true;
}

void LateAnswers::hand_over(PendingRequestPtr request) {
  const bool accepted = thread_->submit([this, request = std::move(request)] {
    const auto late = std::move(request->late);
    late(request->take_answer());
    open_.fetch_sub(1);
  });
  invariant(accepted, "there is room for every late answer that was announced");
}

void LateAnswers::stop() {
  if (thread_) thread_->stop();
}

}  // namespace dfs
