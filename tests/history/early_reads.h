// What a history of programs on mounts tells that promises nothing.
//
// Linux puts what is written into its pages before the file system hears of it,
// and may give the pages up meanwhile. What a program of the same mount reads there
// before the write has returned may be gone again afterwards.
#pragma once

#include <vector>

#include "tests/history/operation.h"

namespace dfs::history {

// Without reads that show what their own mount was still writing, or appending, when
// they were begun. The client's name begins with its mount's: "mount1.4".
std::vector<Operation> without_early_reads(std::vector<Operation> history);

}  // namespace dfs::history
