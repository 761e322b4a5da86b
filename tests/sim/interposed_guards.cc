// Static variables of functions. Whoever comes while another initialises one waits in a
// futex, where interposed.cc sees him; but not with the thread sanitizer, which has
// guards of its own. There these stand before them.
//
// Names and meaning: Itanium C++ ABI, 3.3.3, "Once-Time Initialization API".
#include <dlfcn.h>

#include "tests/sim/scheduler.h"

namespace dfs::sim {
namespace {

// Without static variables: those would want a guard.
template <typename Function>
Function* next_of(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

int acquire(void* guard) { return next_of<int(void*)>("__cxa_guard_acquire")(guard); }

void end(const char* name, void* guard) {
  next_of<void(void*)>(name)(guard);
  if (Scheduler* const scheduler = Scheduler::here()) scheduler->end_once(guard);
}

}  // namespace
}  // namespace dfs::sim

extern "C" {

int __cxa_guard_acquire(void* guard) {
  dfs::sim::Scheduler* const scheduler = dfs::sim::Scheduler::here();
  if (scheduler == nullptr) return dfs::sim::acquire(guard);
  scheduler->begin_once(guard);
  const int initialises = dfs::sim::acquire(guard);
  if (initialises == 0) scheduler->end_once(guard);
  return initialises;
}

void __cxa_guard_release(void* guard) { dfs::sim::end("__cxa_guard_release", guard); }
void __cxa_guard_abort(void* guard) { dfs::sim::end("__cxa_guard_abort", guard); }

}  // extern "C"
