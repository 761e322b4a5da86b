// The real metadata server without its process: core and door over a store in
// memory. Its housekeeping happens when tick() is called; it may die, or lose power,
// and come again with what it had made durable.
//
// Threads: one.
#pragma once

#include <memory>

#include "common/base/clock.h"
#include "common/kv/memory_kv_store.h"
#include "common/rpc/stream_server.h"
#include "server/meta/core/core.h"
#include "server/meta/log/meta_log.h"
#include "tests/support/borrowed_kv_store.h"

namespace dfs::sim {

struct ServerOptions {
  // Made up, and there for ever; 0: real ones register themselves.
  std::uint32_t storage_servers = 1;
  std::uint32_t replicas = 1;
  // A fifth of what they are in a cluster: engines look after much each tenth of a
  // second, which takes most of a run's time.
  std::chrono::milliseconds lease_time{4'000};
  std::chrono::milliseconds session_timeout{12'000};
  // Of storage servers that register themselves: a tenth of what they are in a cluster.
  std::chrono::milliseconds heartbeat_interval{300};
  std::chrono::milliseconds server_silence_max{3'000};
  std::chrono::milliseconds server_out_after{60'000};
};

// What is left when something dies.
enum class Death {
  process,  // all that was written
  power,    // what was synced, and perhaps some of the rest
};

class Server {
 public:
  // `clock` must outlive it.
  Server(const Clock& clock, const ServerOptions& options);

  // The far end of a new stream.
  std::unique_ptr<StreamHandler> open(std::shared_ptr<StreamPeer> peer) { return factory_(std::move(peer)); }
  void tick();
  // What storage servers ask.
  void run(std::unique_ptr<CoreJob> job) { core_->run(std::move(job)); }
  // Dies and starts again. No stream may be there.
  void restart(Death death = Death::process);

 private:
  void start();
  void register_storage();

  const Clock& clock_;
  const ServerOptions options_;
  MetaConfig config_;
  MemoryKvStore rows_;
  std::unique_ptr<BorrowedKvStore> store_;  // of the process that is alive
  std::unique_ptr<LocalMetaLog> log_;
  std::unique_ptr<Core> core_;
  StreamServer::Factory factory_;
};

}  // namespace dfs::sim
