// The real metadata server without its process: core and door over a store in
// memory. Its housekeeping happens when tick() is called; it may die and come
// again with what it had made durable.
//
// Threads: one.
#pragma once

#include <memory>

#include "common/base/clock.h"
#include "common/kv/memory_kv_store.h"
#include "common/rpc/stream_server.h"
#include "server/meta/core/core.h"
#include "server/meta/log/meta_log.h"

namespace dfs::sim {

struct ServerOptions {
  std::uint32_t storage_servers = 1;
  // A fifth of what they are in a cluster: engines look after much each tenth of a
  // second, which takes most of a run's time.
  std::chrono::milliseconds lease_time{4'000};
  std::chrono::milliseconds session_timeout{12'000};
};

class Server {
 public:
  // `clock` must outlive it.
  Server(const Clock& clock, const ServerOptions& options);

  // The far end of a new stream.
  std::unique_ptr<StreamHandler> open(std::shared_ptr<StreamPeer> peer) { return factory_(std::move(peer)); }
  void tick();
  // Dies and starts again. No stream may be there.
  void restart();

 private:
  void start();
  void register_storage();

  const Clock& clock_;
  const ServerOptions options_;
  MetaConfig config_;
  MemoryKvStore store_;
  std::unique_ptr<LocalMetaLog> log_;
  std::unique_ptr<Core> core_;
  StreamServer::Factory factory_;
};

}  // namespace dfs::sim
