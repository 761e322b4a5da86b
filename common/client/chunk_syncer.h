// Forces uploaded chunks to stable media on the servers that have them.
//
// Threads: any. Blocks; nothing is retried here.
#pragma once

#include <map>
#include <vector>

#include "common/base/guarded.h"
#include "common/client/inode_state.h"
#include "common/client/server_health.h"
#include "common/rpc/storage_client.h"

namespace dfs {

struct ChunkSyncReport {
  ChunkId chunk;
  std::uint32_t length = 0;
  std::vector<ServerId> synced_on;
  std::vector<ServerId> missing_on;  // could not be synced there
  bool nowhere = false;              // every server says that it does not have it
};

class ChunkSyncer {
 public:
  ChunkSyncer(StoragePool& storage, ServerHealth& health) : storage_(storage), health_(health) {}

  // One report per chunk, in order. Error: interrupted.
  Result<std::vector<ChunkSyncReport>> sync(const std::vector<UnsyncedChunk>& chunks,
                                            Interrupt* interrupt);

 private:
  struct Call {
    ServerId server;
    std::vector<std::size_t> indexes;  // into `chunks`
  };
  Result<std::vector<Result<void>>> run(const std::vector<UnsyncedChunk>& chunks,
                                        const std::vector<Call>& calls, Interrupt* interrupt);
  void tell(ServerId server, const Error& problem);

  StoragePool& storage_;
  ServerHealth& health_;
  Guarded<std::map<ServerId, Errc>> told_;  // why it could not, as the log says already
};

}  // namespace dfs
