// The door for clients: /dfs.v1.MetaService/Session over StreamServer.
//
// Unpacks frames, hands requests to the core, packs what comes back; decides
// nothing. A message that breaks the protocol ends the stream with a sentence
// that says what was wrong. A client that has too many requests without an
// answer is not read from until some are answered.
//
// Threads: any. The core must outlive the streams, which end with the server.
#pragma once

#include <cstddef>

#include "common/rpc/stream_server.h"
#include "server/meta/core/core.h"

namespace dfs {

inline constexpr const char* kMetaSessionMethod = "/dfs.v1.MetaService/Session";

struct MetaServiceOptions {
  std::size_t outstanding_max = 4'096;  // requests of one stream without an answer
};

// Makes the handler of each stream that a client opens.
StreamServer::Factory meta_service(Core& core, MetaServiceOptions options);

}  // namespace dfs
