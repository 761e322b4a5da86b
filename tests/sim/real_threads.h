// What the C library itself does for threads, time and chance, where interposed.cc
// stands in front of it.
//
// Threads: any.
#pragma once

#include <pthread.h>
#include <sched.h>
#include <sys/random.h>
#include <time.h>

namespace dfs::sim {

struct RealThreads {
  decltype(&::pthread_create) create;
  decltype(&::pthread_join) join;
  decltype(&::pthread_once) once;
  decltype(&::pthread_mutex_lock) mutex_lock;
  decltype(&::pthread_mutex_trylock) mutex_try_lock;
  decltype(&::pthread_mutex_unlock) mutex_unlock;
  decltype(&::pthread_rwlock_rdlock) rwlock_read_lock;
  decltype(&::pthread_rwlock_tryrdlock) rwlock_try_read_lock;
  decltype(&::pthread_rwlock_wrlock) rwlock_write_lock;
  decltype(&::pthread_rwlock_trywrlock) rwlock_try_write_lock;
  decltype(&::pthread_rwlock_unlock) rwlock_unlock;
  decltype(&::pthread_cond_wait) cond_wait;
  decltype(&::pthread_cond_timedwait) cond_timed_wait;
  decltype(&::pthread_cond_clockwait) cond_clock_wait;
  decltype(&::pthread_cond_signal) cond_signal;
  decltype(&::pthread_cond_broadcast) cond_broadcast;
  decltype(&::clock_gettime) clock_get_time;
  decltype(&::nanosleep) nano_sleep;
  decltype(&::clock_nanosleep) clock_nano_sleep;
  decltype(&::sched_yield) yield;
  decltype(&::getrandom) get_random;
  long (*system_call)(long number, ...);
};

const RealThreads& real_threads();

}  // namespace dfs::sim
