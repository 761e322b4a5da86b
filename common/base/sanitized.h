// What the thread sanitizer cannot see: that a library which was not compiled for it
// (gRPC, RocksDB) hands something from one thread to another in order.
//
// Whoever gives something away says handed_over() before, and whoever gets it says
// taken_over() before it looks: all that the giver did comes before all that the taker
// does. Both are nothing in other builds. For hand-overs of libraries only: between our
// own threads the sanitizer shall see what we do, and tell.
#pragma once

#ifdef DFS_SANITIZE_THREAD
#include <sanitizer/tsan_interface.h>
#endif

namespace dfs {

inline void handed_over([[maybe_unused]] void* what) {
#ifdef DFS_SANITIZE_THREAD
  __tsan_release(what);
#endif
}

inline void taken_over([[maybe_unused]] void* what) {
#ifdef DFS_SANITIZE_THREAD
  __tsan_acquire(what);
#endif
}

}  // namespace dfs
