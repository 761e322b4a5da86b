// The server's end of one Get stream: answers questions in their order, each
// range in frames of at most kFrameBytesMax.
//
// What lies in memory and is small is answered at once on the polling thread;
// everything else is read by a disk thread, which stops while the reader is
// behind.
#pragma once

#include <memory>

#include "common/rpc/stream_server.h"
#include "server/storage/membership.h"
#include "server/storage/service_context.h"

namespace dfs::storage {

// `context` must outlive the server.
std::unique_ptr<StreamHandler> make_get_stream(ServiceContext& context, const Membership& member,
                                               std::shared_ptr<StreamPeer> peer);

}  // namespace dfs::storage
