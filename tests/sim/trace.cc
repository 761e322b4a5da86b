#include "tests/sim/trace.h"

#include <chrono>
#include <cstdio>

namespace dfs::sim {

void Trace::tell(const std::string& line) {
  const std::chrono::duration<double> now = std::chrono::steady_clock::now().time_since_epoch();
  std::printf("%11.6f  %s\n", now.count(), line.c_str());
  std::fflush(stdout);  // a run may end in any line
}

}  // namespace dfs::sim
