// A request of a session, as the core runs it.
#pragma once

#include <cstdint>

#include "common/base/clock.h"
#include "common/rpc/meta_api.h"

namespace dfs {

struct CoreRequest {
  std::uint64_t id = 0;
  Sequence sequence;  // 0: not a mutation
  Caller caller;
  MetaArgs args;
  // Of one that has waited for leases of others already: its place among those
  // that do, and since when.
  std::uint64_t place = 0;  // 0: it has not
  SteadyTime waits_since{};
};

}  // namespace dfs
