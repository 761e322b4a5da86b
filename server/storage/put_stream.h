// The server's end of one Put stream: sorts parts to the jobs of their chunks
// and sends the answers back.
#pragma once

#include <memory>

#include "common/rpc/stream_server.h"
#include "server/storage/membership.h"
#include "server/storage/service_context.h"

namespace dfs::storage {

// `context` must outlive the server.
std::unique_ptr<StreamHandler> make_put_stream(ServiceContext& context, const Membership& member,
                                               std::shared_ptr<StreamPeer> peer);

}  // namespace dfs::storage
