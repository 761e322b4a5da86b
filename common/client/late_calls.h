// Answers that come after the caller has stopped waiting (see
// MetaClient::call_through), counted so that nothing they touch goes away
// before they have come. Threads: any.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "common/rpc/meta_client.h"

namespace dfs {

class LateCalls {
 public:
  LateCalls() = default;
  LateCalls(const LateCalls&) = delete;
  LateCalls& operator=(const LateCalls&) = delete;
  // Waits for the answers that are still to come.
  ~LateCalls() {
    std::unique_lock lock(mutex_);
    over_.wait(lock, [this] { return open_ == 0; });
  }

  enum class Arrival { in_time, late };
  using Settle = std::function<void(const Result<MetaResult>&, Arrival)>;

  // Calls, and hands the answer to `settle`: in time, before it returns; or,
  // if it returns `interrupted`, late, from another thread, when whatever the
  // caller has on its stack is gone.
  Result<void> call(MetaClient& client, MetaArgs args, const Caller& caller, Interrupt* interrupt,
                    const Settle& settle) {
    begin();
    // Shared, so that it can be emptied: the session may keep the function
    // for longer than what `settle` refers to lives.
    const auto kept = std::make_shared<Settle>(settle);
    const Result<MetaResult> answer = client.call_through(
        std::move(args), caller, interrupt, [this, kept](Result<MetaResult> late) {
          (*kept)(late, Arrival::late);
          *kept = nullptr;
          end();
        });
    if (!answer && answer.error().code == Errc::interrupted) return fail(answer.error());
    settle(answer, Arrival::in_time);
    end();
    if (!answer) return fail(answer.error());
    return {};
  }

  // The same for a call that nobody waits for: `settle` hears of it late, once,
  // unless this fails.
  Result<void> start(MetaClient& client, MetaArgs args, const Caller& caller,
                     const Settle& settle) {
    begin();
    const auto kept = std::make_shared<Settle>(settle);
    const Result<void> started =
        client.call_later(std::move(args), caller, [this, kept](Result<MetaResult> late) {
          (*kept)(late, Arrival::late);
          *kept = nullptr;
          end();
        });
    if (!started) end();
    return started;
  }

 private:
  void begin() {
    const std::lock_guard lock(mutex_);
    ++open_;
  }
  void end() {
    const std::lock_guard lock(mutex_);
    if (--open_ == 0) over_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable over_;
  std::size_t open_ = 0;
};

}  // namespace dfs
