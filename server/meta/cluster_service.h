// The door for storage servers: the unary methods of /dfs.v1.ClusterService.
// Unpacks, hands over to the core, answers.
//
// Threads: any. The core must outlive the server that has the methods.
#pragma once

#include <map>
#include <string>

#include "common/rpc/stream_server.h"
#include "server/meta/core/core.h"

namespace dfs {

// Register and Heartbeat under their full gRPC names.
std::map<std::string, UnaryMethod> cluster_service(Core& core);

}  // namespace dfs
