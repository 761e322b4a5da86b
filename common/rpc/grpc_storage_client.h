// The real StorageClient and StoragePool, over streams Put and Get.
//
//   * Puts go out chunk by chunk in the order of the calls, in frames of at
//     most kFrameBytesMax, sent from where the bytes are. At most
//     `window_bytes` of one connection are unacknowledged; what is beyond
//     waits in a queue that the callers bound.
//   * Gets are copied straight into their targets and verified there.
//   * Large ranges of a server on this machine are read from its files where
//     we may open them (local_reader.h), otherwise they are sent like others.
//   * A broken connection completes everything outstanding with `unavailable`.
//     The next call connects again, unless the last attempt failed a moment
//     ago: then it fails at once (the pause grows from 100 ms to 1 s).
//   * A call without progress for `progress_timeout` completes with
//     `timed_out`, and its connection is given up.
//   * Whoever answers must be the server that was asked for, of the same
//     cluster and version.
//
// Completions come on the thread that runs the process's completion loop, and
// never from within the call that made them. They may make further calls.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "common/base/clock.h"
#include "common/rpc/local_reader.h"
#include "common/rpc/storage_client.h"
#include "common/rpc/types.h"

namespace dfs {

struct StorageClientOptions {
  std::string cluster;                               // said in greetings; empty: any
  std::size_t window_bytes = 16 * MiB;
  std::chrono::milliseconds progress_timeout{15'000};
  std::chrono::milliseconds connect_timeout{5'000};
  // Reads what a server on this machine has from its files; null: never.
  std::shared_ptr<LocalReader> local_reader = nullptr;
};

// The group table as it is now; null while none is known. Threads: any.
using GroupTableSource = std::function<GroupTablePtr()>;

// One server. `clock` must outlive the pool or client.
class GrpcStorageClient : public StorageClient {
 public:
  // `server` is where to connect; `table` names the addresses of forward targets.
  static std::shared_ptr<GrpcStorageClient> create(StorageClientOptions options, ServerInfo server,
                                                   GroupTableSource table, Clock& clock);
};

class GrpcStoragePool : public StoragePool {
 public:
  // Connections are made on first use and re-made when a server's address changes.
  // Without options.local_reader nothing is read from files.
  static std::unique_ptr<GrpcStoragePool> create(StorageClientOptions options,
                                                 GroupTableSource table, Clock& clock);
};

}  // namespace dfs
