// Invariants: at most one leader (led_); a follower is in followers_ exactly
// while it is neither done nor made the leader; only the leader takes events
// from the queue.
//
// Bells are rung without the lock: a thread that wakes on the ringer's
// processor would push it aside, find the lock taken and go back to sleep.
#include "common/rpc/completion_loop.h"

#include <grpc/support/time.h>
#include <grpcpp/alarm.h>
#include <sched.h>

#include <algorithm>
#include <utility>

#include "common/base/result.h"
#include "common/rpc/channels.h"

namespace dfs {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFollowerSleepMax{100};
// A leader that stays longer than this is no caller that comes and goes.
constexpr milliseconds kLongLead{20};
constexpr milliseconds kLongLeadCheck{10};

SteadyTime steady_now() { return std::chrono::steady_clock::now(); }

gpr_timespec gpr_deadline(SteadyTime until) {
  const auto left = std::chrono::duration_cast<std::chrono::microseconds>(until - steady_now());
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                      gpr_time_from_micros(std::max<std::int64_t>(left.count(), 0), GPR_TIMESPAN));
}

std::shared_ptr<std::condition_variable> bell_of_this_thread() {
  thread_local const auto bell = std::make_shared<std::condition_variable>();
  return bell;
}

std::mutex shared_mutex;
std::weak_ptr<CompletionLoop>& shared_loop() {
  static std::weak_ptr<CompletionLoop> loop;
  return loop;
}

}  // namespace

struct CompletionLoop::Waiter {
  explicit Waiter(const std::function<bool()>& asked) : finished(asked) {}
  const std::function<bool()>& finished;
  // The thread's, not this wait's: it may be rung when the wait is over.
  const Bell bell = bell_of_this_thread();
  bool done = false;
  bool leads = false;
};

// An event that comes at once, to bring the leader out of its wait.
class CompletionLoop::Wake final : public Completion {
 public:
  explicit Wake(grpc::CompletionQueue* queue) {
    alarm_.Set(queue, gpr_now(GPR_CLOCK_MONOTONIC), tag(this));
  }
  void complete(bool) override { delete this; }

 private:
  grpc::Alarm alarm_;
};

// --- life ----------------------------------------------------------------------------

CompletionLoop::CompletionLoop(std::unique_ptr<grpc::CompletionQueue> queue,
                               grpc::ServerCompletionQueue* server_queue)
    : queue_(std::move(queue)), server_queue_(server_queue) {}

CompletionLoop::~CompletionLoop() = default;

std::shared_ptr<CompletionLoop> CompletionLoop::make(std::unique_ptr<grpc::CompletionQueue> queue,
                                                     grpc::ServerCompletionQueue* server_queue) {
  auto* loop = new CompletionLoop(std::move(queue), server_queue);
  loop->thread_ = std::thread([loop] { loop->run(); });
  pthread_setname_np(loop->thread_.native_handle(), "grpc-loop");
  return {loop, retire};
}

std::shared_ptr<CompletionLoop> CompletionLoop::shared() {
  prepare_grpc();
  const std::lock_guard lock(shared_mutex);
  std::shared_ptr<CompletionLoop> loop = shared_loop().lock();
  if (loop == nullptr) {
    loop = make(std::make_unique<grpc::CompletionQueue>(), nullptr);
    shared_loop() = loop;
  }
  return loop;
}

std::shared_ptr<CompletionLoop> CompletionLoop::adopt(
    std::unique_ptr<grpc::ServerCompletionQueue> queue) {
  grpc::ServerCompletionQueue* const server_queue = queue.get();
  std::shared_ptr<CompletionLoop> loop = make(std::move(queue), server_queue);
  const std::lock_guard lock(shared_mutex);
  if (shared_loop().expired()) shared_loop() = loop;
  return loop;
}

// The last user may be a handler, that is, the loop's own thread.
void CompletionLoop::retire(CompletionLoop* loop) {
  bool joins = false;
  {
    const std::lock_guard lock(loop->mutex_);
    loop->stopping_ = true;
    joins = std::this_thread::get_id() != loop->thread_.get_id();
    loop->deletes_itself_ = !joins;
    loop->background_.notify_one();
    // Under the lock: the loop's thread shuts the queue down once it has it.
    if (joins) new Wake(loop->queue_.get());
  }
  if (!joins) return;
  loop->thread_.join();
  delete loop;
}

void CompletionLoop::drain() {
  queue_->Shutdown();
  void* event = nullptr;
  bool ok = false;
  while (queue_->Next(&event, &ok)) {
    taken_over(event);
    static_cast<Completion*>(event)->complete(ok);
  }
}

// --- waiting callers -----------------------------------------------------------------

WaitEnd CompletionLoop::wait_until(const std::function<bool()>& finished,
                                   std::optional<SteadyTime> deadline, Interrupt* interrupt,
                                   const std::function<void()>& start) {
  invariant(!in_handler(), "a handler waits on the loop that it keeps busy");
  bool leads = false;
  {
    const std::lock_guard lock(mutex_);
    if (!led_) led_ = leads = true;
  }
  if (start) start();
  WaitEnd end = WaitEnd::finished;
  if (!leads) {
    Waiter waiter(finished);
    if (!follow(waiter, deadline, interrupt, end)) return end;
  }
  active_ = true;
  while (!finished()) {
    if (interrupt != nullptr && interrupt->interrupted()) {
      end = WaitEnd::interrupted;
      break;
    }
    const SteadyTime now = steady_now();
    if (deadline && now >= *deadline) {
      end = WaitEnd::timed_out;
      break;
    }
    handle_next(std::min(deadline.value_or(SteadyTime::max()), now + kTick), false);
  }
  give_up_lead();
  return end;
}

// Sleeps until the work is done (false, with its end) or the lead is ours (true).
bool CompletionLoop::follow(Waiter& waiter, std::optional<SteadyTime> deadline,
                            Interrupt* interrupt, WaitEnd& end) {
  const Interrupt::Wait registered(interrupt, *waiter.bell);
  std::unique_lock lock(mutex_);
  followers_.push_back(&waiter);
  follower_count_.store(followers_.size(), std::memory_order_relaxed);
  for (;;) {
    if (waiter.leads) return true;
    if (waiter.done) {
      end = WaitEnd::finished;
      return false;
    }
    const SteadyTime now = steady_now();
    const bool interrupted = interrupt != nullptr && interrupt->interrupted();
    const bool late = deadline && now >= *deadline;
    if (!led_ || interrupted || late || waiter.finished()) {
      remove_follower_locked(waiter);
      if (waiter.finished()) {
        end = WaitEnd::finished;
        return false;
      }
      if (interrupted || late) {
        end = interrupted ? WaitEnd::interrupted : WaitEnd::timed_out;
        return false;
      }
      led_ = true;
      return true;
    }
    const SteadyTime latest = now + kFollowerSleepMax;
    waiter.bell->wait_until(lock, deadline ? std::min(*deadline, latest) : latest);
  }
}

void CompletionLoop::remove_follower_locked(Waiter& waiter) {
  followers_.erase(std::find(followers_.begin(), followers_.end(), &waiter));
  follower_count_.store(followers_.size(), std::memory_order_relaxed);
}

void CompletionLoop::give_up_lead() {
  std::unique_lock lock(mutex_);
  if (!followers_.empty()) return pass_lead(lock);
  led_ = false;
  last_led_ = steady_now();
  if (unattended_.load(std::memory_order_relaxed) > 0 || !tasks_.empty() || stopping_)
    background_.notify_one();
}

// To the follower that has waited longest; there is one. Unlocks.
void CompletionLoop::pass_lead(std::unique_lock<std::mutex>& lock) {
  Waiter& next = *followers_.front();
  remove_follower_locked(next);
  next.leads = true;
  const Bell bell = next.bell;
  lock.unlock();
  bell->notify_one();
}

// --- the loop's own thread -----------------------------------------------------------

void CompletionLoop::unattended_begins() {
  unattended_.fetch_add(1, std::memory_order_relaxed);
  const std::lock_guard lock(mutex_);
  if (!led_) background_.notify_one();
}

void CompletionLoop::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const auto since = steady_now() - last_led_;
    if (led_) {
      background_.wait_for(lock, since < kLongLead ? kGrace : kLongLeadCheck);
    } else if (since < kGrace && unattended_.load(std::memory_order_relaxed) == 0 &&
               tasks_.empty()) {
      background_.wait_for(lock, kGrace - since);
    } else {
      led_ = true;
      lock.unlock();
      lead_for_nobody();
      lock.lock();
    }
  }
  const bool deletes_itself = deletes_itself_;
  lock.unlock();
  drain();
  if (!deletes_itself) return;
  thread_.detach();
  delete this;
}

// Leads until callers have taken over, or seem about to.
void CompletionLoop::lead_for_nobody() {
  active_ = settled_ = false;
  for (;;) {
    const Step step = handle_next(steady_now() + kTick, true);
    std::unique_lock lock(mutex_);
    if (stopping_ || step == Step::over) {
      led_ = false;
      return;
    }
    if (!followers_.empty()) {
      if (step == Step::idle) return pass_lead(lock);
      continue;
    }
    if (settled_ && unattended_.load(std::memory_order_relaxed) == 0 && tasks_.empty()) {
      led_ = false;
      last_led_ = steady_now();
      return;
    }
  }
}

// --- events --------------------------------------------------------------------------

CompletionLoop::Step CompletionLoop::handle_next(SteadyTime until, bool yields_to_followers) {
  run_due();
  Completion* completion = nullptr;
  bool ok = false;
  const Step step = next_event(completion, ok, std::min(until, next_tick_), yields_to_followers);
  active_ = step == Step::handled;
  if (step == Step::handled) in_turn([&] { completion->complete(ok); });
  return step;
}

CompletionLoop::Step CompletionLoop::next_event(Completion*& completion, bool& ok, SteadyTime until,
                                                bool yields_to_followers) {
  const gpr_timespec at_once = gpr_time_0(GPR_CLOCK_MONOTONIC);
  void* event = nullptr;
  auto status = queue_->AsyncNext(&event, &ok, at_once);
  if (status == grpc::CompletionQueue::TIMEOUT && active_) {
    const SteadyTime spin_end = steady_now() + kSpin;
    do {
      ::sched_yield();
      status = queue_->AsyncNext(&event, &ok, at_once);
    } while (status == grpc::CompletionQueue::TIMEOUT && steady_now() < spin_end);
  }
  if (status == grpc::CompletionQueue::TIMEOUT) {
    const bool yields =
        yields_to_followers && follower_count_.load(std::memory_order_relaxed) > 0;
    if (yields || task_count_.load() > 0) return Step::idle;
    status = queue_->AsyncNext(&event, &ok, gpr_deadline(until));
  }
  if (status == grpc::CompletionQueue::SHUTDOWN) return Step::over;
  if (status == grpc::CompletionQueue::TIMEOUT) return Step::idle;
  taken_over(event);
  completion = static_cast<Completion*>(event);
  return Step::handled;
}

template <typename Handler>
void CompletionLoop::in_turn(Handler handler) {
  handler_thread_.store(std::this_thread::get_id(), std::memory_order_relaxed);
  handler();
  handler_thread_.store({}, std::memory_order_relaxed);
  settle_followers();
}

// Tasks and ticks.
void CompletionLoop::run_due() {
  if (task_count_.load() > 0) {
    std::deque<std::function<void()>> tasks;
    {
      const std::lock_guard lock(mutex_);
      tasks.swap(tasks_);
      task_count_.store(0);
    }
    for (auto& task : tasks)
      in_turn([&] {
        task();
        task = nullptr;  // with what it holds
      });
  }
  const SteadyTime now = steady_now();
  if (now < next_tick_) return;
  next_tick_ = now + kTick;
  if (tickers_.empty()) return;
  in_turn([&] {
    // A ticker may detach itself or others.
    const std::vector<Ticker*> due = tickers_;
    for (Ticker* ticker : due)
      if (std::find(tickers_.begin(), tickers_.end(), ticker) != tickers_.end())
        ticker->on_tick(now);
  });
}

void CompletionLoop::settle_followers() {
  std::vector<Bell> bells;
  {
    const std::lock_guard lock(mutex_);
    if (followers_.empty()) return;
    std::erase_if(followers_, [&](Waiter* waiter) {
      if (!waiter->finished()) return false;
      waiter->done = true;
      bells.push_back(waiter->bell);
      settled_ = true;
      return true;
    });
    follower_count_.store(followers_.size(), std::memory_order_relaxed);
  }
  for (const Bell& bell : bells) bell->notify_one();
}

void CompletionLoop::run_soon(std::function<void()> task) {
  bool leader_sleeps = false;
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
    task_count_.fetch_add(1);
    leader_sleeps = led_;
    if (!led_) background_.notify_one();
  }
  if (leader_sleeps && !in_handler()) new Wake(queue_.get());
}

void CompletionLoop::attach(Ticker& ticker) {
  invariant(in_handler(), "a ticker is attached from outside the loop");
  tickers_.push_back(&ticker);
}

void CompletionLoop::detach(Ticker& ticker) {
  invariant(in_handler(), "a ticker is detached from outside the loop");
  std::erase(tickers_, &ticker);
}

bool CompletionLoop::in_handler() const {
  return handler_thread_.load(std::memory_order_relaxed) == std::this_thread::get_id();
}

}  // namespace dfs
