// A storage server and its machine: the real stores over a disk that misbehaves,
// with the real heartbeat, repairer, scrubber and checkpoints on threads of their
// own. What is not the real one is the door: streams of parts are whole chunks here.
//
// Process death keeps the disk as it is, power loss what was synced and, by the
// seed, parts of the rest (fake_disk.h).
//
// Threads: the door any; the rest is for the director.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "common/base/clock.h"
#include "common/kv/memory_kv_store.h"
#include "server/storage/store_set.h"
#include "tests/model/dice.h"
#include "tests/sim/far_servers.h"
#include "tests/sim/server.h"
#include "tests/support/fake_disk.h"

namespace dfs::sim {

// Promises that are broken on purpose, to see that it is found.
enum class Fault {
  none,
  claims_sync,     // a chunk is said to be stable that is only written
  trusts_disk,     // bytes are not compared with their checksums
  repairs_nothing,
};

class StorageNode final : public StorageDoor {
 public:
  struct Surroundings {
    const Clock& clock;
    Wires& wires;
    Wires::End meta;
    Server& server;
    const StorageDoors& doors;
    Fault fault = Fault::none;
  };
  // All must outlive it. It is down.
  StorageNode(const Surroundings& with, std::string name);
  ~StorageNode() override;

  Wires::End end() const { return end_; }
  // 0 until it was registered for the first time.
  ServerId server() const;

  void start();
  bool is_up() const { return life_ != nullptr; }
  void die(Death death, std::uint32_t seed);
  // Why its store refuses changes, if it does; it will until it is started again.
  bool is_in_trouble() const;

  storage::FakeDisk& disk() { return disk_; }
  // Each sync takes so long from now on.
  void set_slow(std::chrono::milliseconds time);
  bool is_slow() const { return sync_ms_ > 0; }
  // Null while it is down.
  storage::StoreSet* stores() const;
  // Changes a byte of a chunk on the disk: of its bytes or of what stands before them.
  // False: it is not here.
  bool damage(ChunkId chunk, model::Dice& dice);

  void put(ArrivedChunk chunk, std::function<void(Result<PutOutcome>)> done) override;
  void get(std::vector<GetArgs> ranges, std::function<void(ReadBytes)> done) override;
  void sync(std::vector<ChunkId> chunks, std::function<void(Result<void>)> done) override;
  void stat(std::vector<ChunkId> chunks,
            std::function<void(Result<std::vector<StoredChunk>>)> done) override;

 private:
  class Life;

  const Surroundings with_;
  const std::string name_;
  const Wires::End end_;
  storage::FakeDisk disk_;
  std::unique_ptr<MemoryKvStore> rows_ = std::make_unique<MemoryKvStore>();
  BorrowedKvStore::Alive alive_;
  std::atomic<std::int64_t> sync_ms_{0};
  std::mutex slow_mutex_;
  std::condition_variable slow_;
  std::unique_ptr<Life> life_;
};

}  // namespace dfs::sim
