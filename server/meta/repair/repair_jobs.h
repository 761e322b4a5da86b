// What storage servers ask about repair, as work of the core.
#pragma once

#include <functional>
#include <memory>

#include "common/rpc/cluster_client.h"
#include "server/meta/core/core_job.h"

namespace dfs {

using RepairReply = std::function<void(Result<RepairResult>)>;

// Errors: those of the log.
std::unique_ptr<CoreJob> make_repair_job(RepairArgs args, RepairReply reply);

}  // namespace dfs
