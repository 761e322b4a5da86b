// What storage servers ask, as work of the core.
#pragma once

#include <functional>
#include <memory>

#include "common/rpc/cluster_client.h"
#include "server/meta/core/core_job.h"

namespace dfs {

using RegisterReply = std::function<void(Result<RegisterResult>)>;
using HeartbeatReply = std::function<void(Result<HeartbeatResult>)>;

// Errors: as Cluster::register_server, and those of the log.
std::unique_ptr<CoreJob> make_register_job(RegisterArgs args, RegisterReply reply);
std::unique_ptr<CoreJob> make_heartbeat_job(HeartbeatArgs args, HeartbeatReply reply);

}  // namespace dfs
