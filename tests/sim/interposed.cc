// The C library's functions for threads, locks, clocks and chance, as this program
// and the libraries it uses find them: in threads of a scheduler they go to it, in
// others to the C library.
//
// A lock stays the C library's own; only that somebody waits for it is the
// scheduler's. Of a condition variable the C library hears nothing.
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdarg>
#include <cstring>

#include "tests/sim/real_threads.h"
#include "tests/sim/scheduler.h"

namespace dfs::sim {
namespace {

using Time = Scheduler::Time;

constexpr const char* kLock = "a lock";
constexpr const char* kCondition = "a condition";

Time time_of(const timespec& time) {
  return std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec};
}

timespec timespec_of(Time time) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time);
  return {seconds.count(), (time - seconds).count()};
}

// By whatever clock it was meant.
Time deadline_of(const timespec& time) {
  const Time deadline = time_of(time);
  return deadline < Scheduler::kCalendarAtStart ? deadline : deadline - Scheduler::kCalendarAtStart;
}

// `try_it` is EBUSY while somebody else has the lock.
template <typename Try>
int take(Scheduler& scheduler, const void* lock, Try&& try_it) {
  scheduler.may_switch();
  for (;;) {
    const int got = try_it();
    if (got != EBUSY) return got;
    scheduler.wait(lock, kLock);
  }
}

int release(pthread_mutex_t* mutex) {
  const int failed = real_threads().mutex_unlock(mutex);
  Scheduler::here()->wake_all(mutex);
  return failed;
}

int wait_for(Scheduler& scheduler, pthread_cond_t* condition, pthread_mutex_t* mutex, std::optional<Time> until) {
  release(mutex);
  const Scheduler::Ended ended = scheduler.wait(condition, kCondition, until);
  take(scheduler, mutex, [mutex] { return real_threads().mutex_try_lock(mutex); });
  return ended == Scheduler::Ended::expired ? ETIMEDOUT : 0;
}

void sleep_until(Scheduler& scheduler, Time time) {
  while (scheduler.now() < time) scheduler.wait(&scheduler, "time to pass", time);
}

// What std::atomic::wait, semaphores, static initialisers and absl's locks stand on.
struct FutexCall {
  int* word;
  int operation;
  int value;
  const timespec* time;

  int command() const { return operation & FUTEX_CMD_MASK; }
  bool waits() const { return command() == FUTEX_WAIT || command() == FUTEX_WAIT_BITSET; }
  bool wakes() const { return command() == FUTEX_WAKE || command() == FUTEX_WAKE_BITSET; }
};

long run(Scheduler& scheduler, const FutexCall& call) {
  if (call.wakes()) {
    int woken = 0;
    while (woken < call.value && scheduler.wake_one(call.word)) ++woken;
    return woken;
  }
  if (__atomic_load_n(call.word, __ATOMIC_ACQUIRE) != call.value) {
    errno = EAGAIN;
    return -1;
  }
  std::optional<Time> until;
  if (call.time != nullptr && call.command() == FUTEX_WAIT) until = scheduler.now() + time_of(*call.time);
  if (call.time != nullptr && call.command() == FUTEX_WAIT_BITSET) until = deadline_of(*call.time);
  if (scheduler.wait(call.word, "a word of memory", until) == Scheduler::Ended::woken) return 0;
  errno = ETIMEDOUT;
  return -1;
}

}  // namespace
}  // namespace dfs::sim

using dfs::sim::real_threads;
using dfs::sim::Scheduler;

extern "C" {

// --- threads -----------------------------------------------------------------------------

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*),
                   void* argument) noexcept {
  Scheduler* const scheduler = Scheduler::here();
  if (scheduler == nullptr) return real_threads().create(thread, attributes, start, argument);
  return scheduler->create(thread, attributes, start, argument);
}

int pthread_join(pthread_t thread, void** result) {
  Scheduler* const scheduler = Scheduler::here();
  return scheduler == nullptr ? real_threads().join(thread, result) : scheduler->join(thread, result);
}

int pthread_once(pthread_once_t* control, void (*work)()) {
  Scheduler* const scheduler = Scheduler::here();
  return scheduler == nullptr ? real_threads().once(control, work) : scheduler->once(control, work);
}

int sched_yield() noexcept {
  Scheduler* const scheduler = Scheduler::here();
  if (scheduler == nullptr) return real_threads().yield();
  scheduler->yield();
  return 0;
}

// --- locks -------------------------------------------------------------------------------

int pthread_mutex_lock(pthread_mutex_t* mutex) noexcept {
  Scheduler* const scheduler = Scheduler::here();
  if (scheduler == nullptr) return real_threads().mutex_lock(mutex);
  return dfs::sim::take(*scheduler, mutex, [mutex] { return real_threads().mutex_try_lock(mutex); });
}

int pthread_mutex_trylock(pthread_mutex_t* mutex) noexcept {
  Scheduler* const scheduler = Scheduler::here();
  if (scheduler != nullptr) scheduler->may_switch();
  return real_threads().mutex_try_lock(mutex);
}

int pthread_mutex_unlock(pthread_mutex_t* mutex) noexcept {
  Scheduler* const scheduler = Scheduler::here();
  if (scheduler == nullptr) return real_threads().mutex_unlock(mutex);
  const int failed = dfs::sim::release(mutex);
  scheduler->may_switch();
  return failed;
}

int pthread_rwlock_rdlock(pthread_rwlock_t* lock) noexcept {
  Scheduler* const scheduler = Scheduler::here();
  if (scheduler == nullptr) return real_threads().rwlock_read_lock(lock);
  return dfs::sim::take(*scheduler, lock, [lock] { return real_threads().rwlock_try_read_lock(lock); });
}

int pthread_rwlock_wrlock(pthread_rwlock_t* lock) noexcept {
  Scheduler* const scheduler = Scheduler::here();
  if (scheduler == nullptr) return real_threads().rwlock_write_lock(lock);
  return dfs::sim::take(*scheduler, lock, [lock] { return real_threads().rwlock_try_write_lock(lock); });
}

int pthread_rwlock_unlock(pthread_rwlock_t* lock) noexcept {
  Scheduler* const scheduler = Scheduler::here();
  const int failed = real_threads().rwlock_unlock(lock);
  if (scheduler == nullptr) return failed;
  scheduler->wake_all(lock);
  scheduler->may_switch();
  return failed;
}

// --- conditions --------------------------------------------------------------------------

int pthread_cond_wait(pthread_cond_t* condition, pthread_mutex_t* mutex) {
  Scheduler* const scheduler = Scheduler::here();
  if (scheduler == nullptr) return real_threads().cond_wait(condition, mutex);
  return dfs::sim::wait_for(*scheduler, condition, mutex, std::nullopt);
}

int pthread_cond_timedwait(pthread_cond_t* condition, pthread_mutex_t* mutex, const timespec* until) {
  Scheduler* const scheduler = Scheduler::here();
  if (scheduler == nullptr) return real_threads().cond_timed_wait(condition, mutex, until);
  return dfs::sim::wait_for(*scheduler, condition, mutex, dfs::sim::deadline_of(*until));
}

int pthread_cond_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex, clockid_t clock, const timespec* until) {
  Scheduler* const scheduler = Scheduler::here();
  if (scheduler == nullptr) return real_threads().cond_clock_wait(condition, mutex, clock, until);
  return dfs::sim::wait_for(*scheduler, condition, mutex, dfs::sim::deadline_of(*until));
}

int pthread_cond_signal(pthread_cond_t* condition) noexcept {
  Scheduler* const scheduler = Scheduler::here();
  if (scheduler == nullptr) return real_threads().cond_signal(condition);
  scheduler->wake_one(condition);
  return 0;
}

int pthread_cond_broadcast(pthread_cond_t* condition) noexcept {
  Scheduler* const scheduler = Scheduler::here();
  if (scheduler == nullptr) return real_threads().cond_broadcast(condition);
  scheduler->wake_all(condition);
  return 0;
}

long syscall(long number, ...) noexcept {
  long arguments[6];
  va_list list;
  va_start(list, number);
  for (long& argument : arguments) argument = va_arg(list, long);
  va_end(list);
  Scheduler* const scheduler = Scheduler::here();
  if (scheduler != nullptr && number == SYS_futex) {
    const dfs::sim::FutexCall call{reinterpret_cast<int*>(arguments[0]), static_cast<int>(arguments[1]),
                                   static_cast<int>(arguments[2]), reinterpret_cast<const timespec*>(arguments[3])};
    if (call.waits() || call.wakes()) return dfs::sim::run(*scheduler, call);
  }
  return real_threads().system_call(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
                                    arguments[5]);
}

// --- time and chance ---------------------------------------------------------------------

int clock_gettime(clockid_t clock, timespec* time) noexcept {
  Scheduler* const scheduler = Scheduler::here();
  const bool is_of_this_process = clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID;
  if (scheduler == nullptr || is_of_this_process) return real_threads().clock_get_time(clock, time);
  const bool is_calendar = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI;
  *time = dfs::sim::timespec_of(is_calendar ? scheduler->now() + Scheduler::kCalendarAtStart : scheduler->now());
  return 0;
}

int nanosleep(const timespec* time, timespec* left) {
  Scheduler* const scheduler = Scheduler::here();
  if (scheduler == nullptr) return real_threads().nano_sleep(time, left);
  dfs::sim::sleep_until(*scheduler, scheduler->now() + dfs::sim::time_of(*time));
  return 0;
}

int clock_nanosleep(clockid_t clock, int flags, const timespec* time, timespec* left) {
  Scheduler* const scheduler = Scheduler::here();
  if (scheduler == nullptr) return real_threads().clock_nano_sleep(clock, flags, time, left);
  const bool is_absolute = (flags & TIMER_ABSTIME) != 0;
  dfs::sim::sleep_until(*scheduler, is_absolute ? dfs::sim::deadline_of(*time)
                                                : scheduler->now() + dfs::sim::time_of(*time));
  return 0;
}

ssize_t getrandom(void* buffer, size_t count, unsigned flags) {
  Scheduler* const scheduler = Scheduler::here();
  if (scheduler == nullptr) return real_threads().get_random(buffer, count, flags);
  for (size_t done = 0; done < count;) {
    const std::uint64_t number = scheduler->random();
    const size_t some = std::min(sizeof number, count - done);
    std::memcpy(static_cast<char*>(buffer) + done, &number, some);
    done += some;
  }
  return static_cast<ssize_t>(count);
}

}  // extern "C"
