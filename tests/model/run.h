// One run: the steps of a seed, on both sides, compared after each.
#pragma once

#include <cstdint>
#include <string>

#include "common/base/result.h"
#include "tests/model/feature.h"
#include "tests/model/operation.h"
#include "tests/model/side.h"

namespace dfs::model {

struct RunOptions {
  std::uint64_t seed = 1;
  std::uint64_t steps = 10'000;
  std::uint64_t steps_between_trees = 2'000;  // everything is compared so often, and at the end
  Geometry geometry;
};

struct RunReport {
  std::uint64_t performed = 0;  // steps that were done on both sides
  std::uint64_t succeeded = 0;  // of them, without an error
  std::string difference;       // empty: there was none
};

RunReport run(const RunOptions& options, const Features& features, Side& reference, Side& mount);

}  // namespace dfs::model
