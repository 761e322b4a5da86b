#include "tests/sim/scheduler.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <execinfo.h>
#include <linux/futex.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include <fmt/format.h>

#include "common/base/result.h"
#include "tests/sim/real_threads.h"

namespace dfs::sim {
namespace {

// Threads that do so much while no time passes keep each other busy for ever.
constexpr std::size_t kTurnsMax = 1'000'000;

// At the end of a thread its data is destroyed in rounds, the last of which is the
// thread sanitizer's where it is: it knows the thread no more then.
#ifdef DFS_SANITIZE_THREAD
constexpr int kRoundOfFarewell = PTHREAD_DESTRUCTOR_ITERATIONS - 1;
#else
constexpr int kRoundOfFarewell = PTHREAD_DESTRUCTOR_ITERATIONS;
#endif

thread_local Scheduler* scheduler_here = nullptr;

std::string text_of(void* address) {
  Dl_info info{};
  if (::dladdr(address, &info) == 0) return fmt::format("{}", address);
  if (info.dli_sname == nullptr)
    return fmt::format("{}+{:#x}", info.dli_fname,
                       reinterpret_cast<std::uintptr_t>(address) - reinterpret_cast<std::uintptr_t>(info.dli_fbase));
  const std::unique_ptr<char, void (*)(void*)> name(abi::__cxa_demangle(info.dli_sname, nullptr, nullptr, nullptr),
                                                    std::free);
  return name != nullptr ? name.get() : info.dli_sname;
}

}  // namespace

// A thread sleeps on `signal` while it is not its turn.
struct Scheduler::Thread {
  enum Signal : int { sleep, go_on, tell_place };

  Scheduler* scheduler = nullptr;
  std::size_t number = 0;
  pthread_t handle{};
  void* (*start)(void*) = nullptr;
  void* argument = nullptr;
  std::atomic<int> signal{sleep};
  int farewells = 0;
  bool is_over = false;
  bool is_joined = false;

  // While it waits.
  const void* object = nullptr;
  const char* what = nullptr;
  std::optional<Time> until;
  bool expired = false;

  std::array<void*, 32> place{};  // as it has told
  int place_depth = 0;

  void send(Signal what_to_do) {
    signal.store(what_to_do, std::memory_order_release);
    real_threads().system_call(SYS_futex, &signal, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
  }
  Signal receive() {
    for (;;) {
      const int sent = signal.exchange(sleep, std::memory_order_acquire);
      if (sent != sleep) return static_cast<Signal>(sent);
      real_threads().system_call(SYS_futex, &signal, FUTEX_WAIT_PRIVATE, sleep, nullptr, nullptr, 0);
    }
  }
  void look_at_place() { place_depth = ::backtrace(place.data(), static_cast<int>(place.size())); }
};

Scheduler::Scheduler(Options options) : options_(std::move(options)), dice_(options_.seed, ~std::uint64_t{1}) {
  invariant(scheduler_here == nullptr, "one scheduler at a time");
  invariant(::pthread_key_create(&farewell_, say_farewell) == 0, "there is room for a key");
  threads_.push_back(std::make_unique<Thread>());
  director_ = current_ = threads_.back().get();
  director_->scheduler = this;
  director_->handle = ::pthread_self();
  scheduler_here = this;
}

Scheduler::~Scheduler() {
  settle();
  invariant(runnable_.empty() && waiting_.empty(), "all threads have ended");
  scheduler_here = nullptr;
  ::pthread_key_delete(farewell_);
}

Scheduler* Scheduler::here() { return scheduler_here; }

// --- the turn ----------------------------------------------------------------------------

Scheduler::Thread& Scheduler::next() {
  while (runnable_.empty() || turns_left_ == 0) {
    if (director_waits_) return *director_;
    if (!expire_timers()) give_up();
  }
  if (turns_left_) --*turns_left_;
  if (++turns_ > kTurnsMax) give_up();
  const auto drawn = runnable_.begin() + static_cast<std::ptrdiff_t>(dice_.below(runnable_.size()));
  Thread& thread = **drawn;
  runnable_.erase(drawn);
  return thread;
}

void Scheduler::hand_over(Thread& to) {
  Thread& me = *current_;
  if (&to == &me) return;
  current_ = &to;
  to.send(Thread::go_on);
  await_turn(me);
}

void Scheduler::await_turn(Thread& me) {
  const int kept = errno;
  while (me.receive() == Thread::tell_place) {
    me.look_at_place();
    current_->send(Thread::go_on);
  }
  errno = kept;
}

void Scheduler::yield() {
  runnable_.push_back(current_);
  hand_over(next());
}

void Scheduler::may_switch() {
  if (asides_ > 0) return;
  if (options_.one_in_preemptions > 0 && dice_.one_in(options_.one_in_preemptions)) yield();
}

// --- waiting -----------------------------------------------------------------------------

Scheduler::Ended Scheduler::wait(const void* object, const char* what, std::optional<Time> until) {
  if (until && *until <= now_) {
    yield();
    return Ended::expired;
  }
  Thread& me = *current_;
  me.object = object;
  me.what = what;
  me.until = until;
  me.expired = false;
  waiting_.push_back(&me);
  hand_over(next());
  return me.expired ? Ended::expired : Ended::woken;
}

bool Scheduler::wake_one(const void* object) {
  const auto waits_for_it = [object](const Thread* thread) { return thread->object == object; };
  const auto count = std::ranges::count_if(waiting_, waits_for_it);
  if (count == 0) return false;
  auto drawn = std::ranges::find_if(waiting_, waits_for_it);
  for (auto skipped = count > 1 ? dice_.below(static_cast<std::uint64_t>(count)) : 0; skipped > 0; --skipped)
    drawn = std::find_if(drawn + 1, waiting_.end(), waits_for_it);
  runnable_.push_back(*drawn);
  waiting_.erase(drawn);
  return true;
}

void Scheduler::wake_all(const void* object) {
  std::erase_if(waiting_, [&](Thread* thread) {
    if (thread->object != object) return false;
    runnable_.push_back(thread);
    return true;
  });
}

// --- time --------------------------------------------------------------------------------

std::optional<Scheduler::Time> Scheduler::next_timer() const {
  std::optional<Time> earliest;
  for (const Thread* thread : waiting_)
    if (thread->until && (!earliest || *thread->until < *earliest)) earliest = thread->until;
  return earliest;
}

// False: there are none.
bool Scheduler::expire_timers() {
  const std::optional<Time> earliest = next_timer();
  if (!earliest) return false;
  now_ = std::max(now_, *earliest);
  turns_ = 0;
  std::erase_if(waiting_, [this](Thread* thread) {
    if (!thread->until || *thread->until > now_) return false;
    thread->expired = true;
    runnable_.push_back(thread);
    return true;
  });
  return true;
}

// --- the director ------------------------------------------------------------------------

void Scheduler::direct(std::optional<std::size_t> turns) {
  invariant(current_ == director_, "there is one director");
  turns_left_ = turns;
  director_waits_ = true;
  hand_over(next());
  director_waits_ = false;
  turns_left_.reset();
}

void Scheduler::settle() { direct(std::nullopt); }

void Scheduler::let_run(std::size_t turns) { direct(turns); }

void Scheduler::advance_to(Time time) {
  settle();
  for (std::optional<Time> timer = next_timer(); timer && *timer <= time; timer = next_timer()) {
    expire_timers();
    settle();
  }
  now_ = std::max(now_, time);
  turns_ = 0;
}

// --- threads -----------------------------------------------------------------------------

int Scheduler::create(pthread_t* handle, const pthread_attr_t* attributes, void* (*start)(void*), void* argument) {
  auto made = std::make_unique<Thread>();
  made->scheduler = this;
  made->number = threads_.size();
  made->start = start;
  made->argument = argument;
  const int failed = real_threads().create(&made->handle, attributes, run, made.get());
  if (failed != 0) return failed;
  *handle = made->handle;
  runnable_.push_back(made.get());
  threads_.push_back(std::move(made));
  may_switch();
  return 0;
}

void* Scheduler::run(void* thread) {
  Thread& me = *static_cast<Thread*>(thread);
  me.scheduler->await_turn(me);
  scheduler_here = me.scheduler;
  ::pthread_setspecific(me.scheduler->farewell_, &me);
  return me.start(me.argument);
}

// Other destructors of its data may still want locks: the last round is ours.
void Scheduler::say_farewell(void* thread) {
  Thread& me = *static_cast<Thread*>(thread);
  Scheduler& scheduler = *me.scheduler;
  if (++me.farewells < kRoundOfFarewell) {
    ::pthread_setspecific(scheduler.farewell_, &me);
    return;
  }
  me.is_over = true;
  scheduler.wake_all(&me);
  scheduler_here = nullptr;
  Thread& following = scheduler.next();
  scheduler.current_ = &following;
  following.send(Thread::go_on);
}

int Scheduler::join(pthread_t handle, void** result) {
  const auto thread = std::ranges::find_if(
      threads_, [handle](const auto& each) { return !each->is_joined && ::pthread_equal(each->handle, handle) != 0; });
  invariant(thread != threads_.end(), "who is joined was made here");
  Thread& joined = **thread;
  while (!joined.is_over) wait(&joined, "the end of a thread");
  joined.is_joined = true;
  return real_threads().join(handle, result);
}

// The C library makes whoever comes second wait where nobody sees it.
int Scheduler::once(pthread_once_t* control, void (*work)()) {
  begin_once(control);
  const int failed = real_threads().once(control, work);
  end_once(control);
  return failed;
}

void Scheduler::begin_once(const void* control) {
  while (std::ranges::find(begun_once_, control) != begun_once_.end()) wait(control, "what is done once");
  begun_once_.push_back(control);
}

void Scheduler::end_once(const void* control) {
  std::erase(begun_once_, control);
  wake_all(control);
}

// --- when nothing goes on ------------------------------------------------------------------

std::string Scheduler::threads() {
  std::string all;
  for (const auto& thread : threads_) {
    if (thread->is_over) continue;
    const bool waits = std::ranges::find(waiting_, thread.get()) != waiting_.end();
    std::string what = "can go on";
    if (waits) what = fmt::format("waits for {}", thread->what);
    if (waits && thread->until) what += fmt::format(", {} ms at most", (*thread->until - now_).count() / 1'000'000);
    std::array<char, 16> name{};
    ::pthread_getname_np(thread->handle, name.data(), name.size());
    all += fmt::format("thread {} ({}) {}:\n{}", thread->number, name.data(), what, place_of(*thread));
  }
  return all;
}

std::string Scheduler::place_of(Thread& thread) {
  if (&thread == current_) {
    thread.look_at_place();
  } else {
    thread.send(Thread::tell_place);
    current_->receive();
  }
  std::string text;
  for (int at = 0; at < thread.place_depth; ++at)
    text += fmt::format("    {}\n", text_of(thread.place[static_cast<std::size_t>(at)]));
  return text;
}

void Scheduler::give_up() {
  if (options_.stuck) options_.stuck(threads());
  std::_Exit(1);
}

}  // namespace dfs::sim
