// Whether what was read of a log fits what was appended to it: every record
// that was acknowledged is there once and whole, none comes that was not begun,
// all reads show beginnings of one sequence, and it keeps to the order of time.
// That is linearizability, and as each read tells all that came before, no
// search is needed.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tests/history/operation.h"

namespace dfs::history {

// The first thing that nothing explains, and the operations that say so, by
// index in the history, the one that could not be answered so last.
struct Anomaly {
  std::int64_t time = 0;
  std::string sentence;
  std::vector<std::size_t> operations;
};

// `log`: the indexes of its operations. No record is appended twice.
std::optional<Anomaly> check_log(std::span<const Operation> history, const std::vector<std::size_t>& log);

}  // namespace dfs::history
