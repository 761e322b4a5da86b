// What a process has to know to go on with a session of a former one, in memory
// that outlives both. Plain numbers: only the session writes them.
#pragma once

#include <cstdint>

namespace dfs {

struct SessionMemo {
  static constexpr std::uint32_t kLayout = 1;

  std::uint64_t session;        // 0: none; stored last
  std::uint64_t epoch;
  std::uint64_t last_sequence;  // the highest that was given to a mutation
};

}  // namespace dfs
