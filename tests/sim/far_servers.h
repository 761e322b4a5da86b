// The far sides of storage servers and of the metadata server, as clients over
// Wires have them.
//
// Threads: any.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "common/rpc/cluster_client.h"
#include "common/rpc/storage_client.h"
#include "tests/sim/server.h"
#include "tests/sim/wires.h"

namespace dfs::sim {

// A chunk as it comes off the wire.
struct ArrivedChunk {
  PutArgs args;  // without pieces
  std::shared_ptr<const std::vector<std::byte>> bytes;
};
struct ReadBytes {
  std::vector<Result<void>> results;
  std::vector<std::vector<std::byte>> bytes;  // of those that succeeded
};

// What a storage server is asked; answers come from any thread.
class StorageDoor {
 public:
  virtual ~StorageDoor() = default;
  virtual void put(ArrivedChunk chunk, std::function<void(Result<PutOutcome>)> done) = 0;
  virtual void get(std::vector<GetArgs> ranges, std::function<void(ReadBytes)> done) = 0;
  virtual void sync(std::vector<ChunkId> chunks, std::function<void(Result<void>)> done) = 0;
  virtual void stat(std::vector<ChunkId> chunks,
                    std::function<void(Result<std::vector<StoredChunk>>)> done) = 0;
};

// Which storage servers there are; the same for all.
class StorageDoors {
 public:
  struct Place {
    Wires::End end;
    StorageDoor* door;
  };
  virtual ~StorageDoors() = default;
  virtual std::optional<Place> find(ServerId server) const = 0;
};

// Storage servers as `from` reaches them. All must outlive it.
class FarStorage final : public StoragePool {
 public:
  FarStorage(Wires& wires, Wires::End from, const StorageDoors& doors)
      : wires_(wires), from_(from), doors_(doors) {}
  std::shared_ptr<StorageClient> client(ServerId server) override;

 private:
  Wires& wires_;
  const Wires::End from_;
  const StorageDoors& doors_;
};

// The metadata server as the storage server `from` reaches it. Calls wait.
class FarMeta final : public ClusterClient {
 public:
  struct Ends {
    Wires::End from;
    Wires::End meta;
  };
  FarMeta(Wires& wires, Ends ends, Server& server) : wires_(wires), ends_(ends), server_(server) {}
  Result<RegisterResult> register_server(const RegisterArgs& args) override;
  Result<HeartbeatResult> heartbeat(const HeartbeatArgs& args) override;
  Result<RepairResult> repair(const RepairArgs& args) override;

 private:
  template <typename R, typename Args, typename MakeJob>
  Result<R> ask(const Args& args, MakeJob make_job);

  Wires& wires_;
  const Ends ends_;
  Server& server_;
};

}  // namespace dfs::sim
