// The one place in a process where somebody waits for gRPC.
//
// gRPC's epoll engine has one designated poller per process, whichever
// completion queue that thread belongs to. A second thread that waits in gRPC
// turns every message into a hand-over between threads (measured: 125 us a
// round trip instead of 16). So everything in a process - sessions, storage
// clients, a StreamServer - shares one completion queue, and exactly one
// thread at a time, the leader, runs it:
//
//   * A caller that waits for an answer becomes the leader if there is none
//     and handles whatever comes, its own answer included. When that has come
//     it passes leadership to another waiting caller.
//   * Callers that find a leader sleep until the leader has finished their
//     work or makes one of them the next leader.
//   * When nobody waits, a thread of the loop leads. It takes over at once if
//     unattended work is under way, otherwise after a short pause, so that
//     callers that come one after another do not wake it each time.
//
// The leader busy-polls for `spin` before it blocks: a sleeping thread costs
// 20 to 40 us to wake.
//
// Handlers (Completion, Ticker, tasks) run one at a time, without any lock of
// the loop. They must not wait on the loop.
#pragma once

#include <grpcpp/completion_queue.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "common/base/clock.h"
#include "common/base/sanitized.h"
#include "common/rpc/interrupt.h"

namespace dfs {

// What a tag on the queue points to.
class Completion {
 public:
  virtual void complete(bool ok) = 0;

 protected:
  ~Completion() = default;
};

// A Completion that calls a member function of its owner.
template <typename Owner>
class MemberCompletion final : public Completion {
 public:
  MemberCompletion(Owner* owner, void (Owner::*member)(bool)) : owner_(owner), member_(member) {}
  void complete(bool ok) override { (owner_->*member_)(ok); }

 private:
  Owner* owner_;
  void (Owner::*member_)(bool);
};

// Is called on the loop about every kTick while attached.
class Ticker {
 public:
  virtual void on_tick(SteadyTime now) = 0;

 protected:
  ~Ticker() = default;
};

enum class WaitEnd { finished, interrupted, timed_out };

// Threads: any, unless a call says otherwise.
class CompletionLoop {
 public:
  static constexpr std::chrono::milliseconds kTick{50};
  static constexpr std::chrono::microseconds kSpin{50};
  // How long the loop's thread leaves the lead to callers that come and go.
  static constexpr std::chrono::milliseconds kGrace{2};

  // The process's loop; made when there is none, ends with its last user.
  static std::shared_ptr<CompletionLoop> shared();
  // A loop on a server's queue, which becomes the process's loop unless there
  // is one already.
  static std::shared_ptr<CompletionLoop> adopt(std::unique_ptr<grpc::ServerCompletionQueue> queue);

  CompletionLoop(const CompletionLoop&) = delete;
  CompletionLoop& operator=(const CompletionLoop&) = delete;

  // Where operations are started; their tags are Completion*. Whoever starts
  // one keeps the loop alive until it has completed.
  grpc::CompletionQueue* queue() { return queue_.get(); }
  // Null if this loop was not made by adopt().
  grpc::ServerCompletionQueue* server_queue() { return server_queue_; }
  // Of an operation that is started next.
  static void* tag(Completion* completion) {
    handed_over(completion);
    return completion;
  }

  // Runs `start` (if any; it must not wait here), then handles events or sleeps until `finished`, the
  // deadline or the interruption. `finished` must become true by a handler of
  // this loop (for anything else it is noticed within 50 ms); other threads
  // ask it too, while it is registered here: it reads an atomic, quickly.
  WaitEnd wait_until(const std::function<bool()>& finished, std::optional<SteadyTime> deadline,
                     Interrupt* interrupt, const std::function<void()>& start = {});

  // Work whose end nobody waits for in wait_until() is under way, and has
  // ended. While there is some, the loop never goes without a leader for long.
  void unattended_begins();
  void unattended_ends() { unattended_.fetch_sub(1, std::memory_order_relaxed); }

  // Runs `task` on the loop, soon. Never inline.
  void run_soon(std::function<void()> task);
  // For handlers' own use, on the loop only.
  void attach(Ticker& ticker);
  void detach(Ticker& ticker);

  // True on the thread that is running a handler right now.
  bool in_handler() const;

 private:
  struct Waiter;
  class Wake;
  using Bell = std::shared_ptr<std::condition_variable>;
  enum class Step { handled, idle, over };

  CompletionLoop(std::unique_ptr<grpc::CompletionQueue> queue,
                 grpc::ServerCompletionQueue* server_queue);
  ~CompletionLoop();
  static std::shared_ptr<CompletionLoop> make(std::unique_ptr<grpc::CompletionQueue> queue,
                                              grpc::ServerCompletionQueue* server_queue);
  static void retire(CompletionLoop* loop);

  bool follow(Waiter& waiter, std::optional<SteadyTime> deadline, Interrupt* interrupt,
              WaitEnd& end);
  void give_up_lead();
  void run();
  void lead_for_nobody();
  void drain();

  // All for the leader.
  Step handle_next(SteadyTime until, bool yields_to_followers);
  Step next_event(Completion*& completion, bool& ok, SteadyTime until, bool yields_to_followers);
  template <typename Handler>
  void in_turn(Handler handler);
  void run_due();
  void settle_followers();
  void pass_lead(std::unique_lock<std::mutex>& lock);
  void remove_follower_locked(Waiter& waiter);

  std::unique_ptr<grpc::CompletionQueue> queue_;
  grpc::ServerCompletionQueue* const server_queue_;

  mutable std::mutex mutex_;  // of all up to the next blank line
  bool led_ = false;
  bool stopping_ = false;
  bool deletes_itself_ = false;
  std::deque<Waiter*> followers_;
  SteadyTime last_led_{};  // when a caller last gave up the lead
  std::deque<std::function<void()>> tasks_;
  std::condition_variable background_;

  std::atomic<std::size_t> follower_count_{0};
  std::atomic<std::size_t> task_count_{0};
  std::atomic<std::size_t> unattended_{0};
  std::atomic<std::thread::id> handler_thread_{};

  // The leader's.
  std::vector<Ticker*> tickers_;
  SteadyTime next_tick_{};
  bool active_ = false;  // something came lately: worth a busy poll
  bool settled_ = false;  // a follower's work was finished since the lead began
  std::thread thread_;
};

}  // namespace dfs
