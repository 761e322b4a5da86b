#include "tests/sim/real_threads.h"

#include <dlfcn.h>

#include "common/base/result.h"

namespace dfs::sim {
namespace {

// The next one after ours in the order of libraries: that of a sanitizer, if there
// is one, and the C library's.
template <typename Function>
void find(Function& function, const char* name) {
  function = reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
  invariant(function != nullptr, name);
}

RealThreads find_all() {
  RealThreads real{};
  find(real.create, "pthread_create");
  find(real.join, "pthread_join");
  find(real.once, "pthread_once");
  find(real.mutex_lock, "pthread_mutex_lock");
  find(real.mutex_try_lock, "pthread_mutex_trylock");
  find(real.mutex_unlock, "pthread_mutex_unlock");
  find(real.rwlock_read_lock, "pthread_rwlock_rdlock");
  find(real.rwlock_try_read_lock, "pthread_rwlock_tryrdlock");
  find(real.rwlock_write_lock, "pthread_rwlock_wrlock");
  find(real.rwlock_try_write_lock, "pthread_rwlock_trywrlock");
  find(real.rwlock_unlock, "pthread_rwlock_unlock");
  find(real.cond_wait, "pthread_cond_wait");
  find(real.cond_timed_wait, "pthread_cond_timedwait");
  find(real.cond_clock_wait, "pthread_cond_clockwait");
  find(real.cond_signal, "pthread_cond_signal");
  find(real.cond_broadcast, "pthread_cond_broadcast");
  find(real.clock_get_time, "clock_gettime");
  find(real.nano_sleep, "nanosleep");
  find(real.clock_nano_sleep, "clock_nanosleep");
  find(real.yield, "sched_yield");
  find(real.get_random, "getrandom");
  find(real.system_call, "syscall");
  return real;
}

}  // namespace

const RealThreads& real_threads() {
  static const RealThreads real = find_all();
  return real;
}

}  // namespace dfs::sim
