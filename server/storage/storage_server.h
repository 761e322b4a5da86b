// A whole storage server: opens its stores, listens, keeps itself registered
// and looks after its disks until it is stopped.
//
// Threads: start() and stop() from one; the rest any.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "common/base/clock.h"
#include "common/base/result.h"
#include "common/rpc/cluster_client.h"
#include "server/storage/storage_config.h"

namespace dfs::storage {

class StorageServer {
 public:
  // Errors: those of StorageConfig::validate(), StoreSet::open() and
  // StreamServer::start(), each in words an operator can act on. Does not wait
  // for the metadata server: until that has registered it, streams are
  // refused as `unavailable`.
  static Result<std::unique_ptr<StorageServer>> start(const StorageConfig& config);
  // The same with another way to the metadata server; for tests.
  static Result<std::unique_ptr<StorageServer>> start(const StorageConfig& config,
                                                      std::unique_ptr<ClusterClient> meta);
  // stop()
  virtual ~StorageServer() = default;

  // True once registered, false after `timeout`; an error is the metadata
  // server's refusal, for good.
  virtual Result<bool> wait_registered(std::chrono::milliseconds timeout) = 0;
  // Ends the streams, finishes what was accepted, makes a last checkpoint.
  // Idempotent.
  virtual void stop() = 0;

  // HOST:PORT as bound.
  virtual const std::string& address() const = 0;
};

}  // namespace dfs::storage
