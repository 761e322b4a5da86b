// Reads every row of a committed store and says what does not fit together.
#pragma once

#include <string>
#include <vector>

#include "common/kv/kv_store.h"
#include "server/meta/ops/operation.h"

namespace dfs {

// Checks: each name has its two rows and an inode of its type; link counts,
// entry counts, parents and cookies; every inode is reachable or an orphan;
// extents within their file and apart from each other, `allocated`; chunk
// references and lengths; garbage is not in use; xattr counts;
// access lists and modes agree; the totals.
// Empty: everything holds.
std::vector<std::string> find_inconsistencies(const KvStore& store, const Totals& totals);

}  // namespace dfs
