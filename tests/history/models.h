// The kinds of objects that a history speaks of, as steps over a state.
//
//   register  one value
//   names     of directories: which file each name leads to. Names between
//             which something is renamed are looked at together, all others
//             alone. A listing is not one moment: it counts as a lookup of each
//             name, each at some moment within it. So it must show what was there
//             all the time, and not what was not there all the time.
//   lock      who holds it, and how
//
// Logs are not searched for: append_log.h.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "tests/history/linearize.h"
#include "tests/history/operation.h"

namespace dfs::history {

// An object that can be judged alone.
struct Part {
  std::string name;  // "register r", "names a, b"
  State initial;
  std::vector<Step> steps;  // Step::operation: of the history
  std::function<std::string(const State&)> describe;
};

std::vector<Part> register_parts(std::span<const Operation> history);
std::vector<Part> name_parts(std::span<const Operation> history);
std::vector<Part> lock_parts(std::span<const Operation> history);

}  // namespace dfs::history
