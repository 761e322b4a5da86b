// What the core does by itself: looks at the disk, declares silent storage
// servers dead, ends sessions that stay away or do not answer recalls, purges
// orphans whose time has come. In slices of a few milliseconds, so that requests come in between.
#pragma once

#include <memory>

#include "server/meta/core/core_job.h"

namespace dfs {

// One slice. `*more` is set when it finishes, before it is destroyed: whether
// the next slice would find something to do at once.
std::unique_ptr<CoreJob> make_housekeeping_job(bool* more);

}  // namespace dfs
