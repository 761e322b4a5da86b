// What a history of programs on mounts tells that promises nothing.
//
// Linux puts what is written into its pages before the file system hears of it,
// and may give the pages up meanwhile. What a program of the same mount reads there
// before the write has returned may be gone again afterwards.
//
// A change that has not returned yet may show on other mounts before it
// shows on its own. And a rename may have found that both its names led to one
// file, because another one came between two looks: then it did nothing.
#pragma once

#include <vector>

#include "tests/history/operation.h"

namespace dfs::history {

// Without reads that show what their own mount was still writing, or appending, when
// they were begun, without reads beside a write of their own mount and looks at directories that their own mount was still
// changing; renames that may have done nothing have no end, as if their outcome were
// unknown. The client's name begins with its mount's: "mount1.4".
std::vector<Operation> without_early_reads(std::vector<Operation> history);

}  // namespace dfs::history
