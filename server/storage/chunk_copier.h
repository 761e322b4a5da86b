// Makes sure that this server has good copies of chunks: looks at what is here
// and copies what is missing or damaged from other servers. A task that names
// another chunk makes a new one of its bytes, which may be here already.
//
// A damaged copy is replaced only once all of the good bytes are in memory. A
// copy counts when it is on stable media.
//
// Threads: one at a time. Calls wait for disks and other servers, for each
// server at most as long as its client has patience.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "common/base/result.h"
#include "common/rpc/cluster_client.h"
#include "common/rpc/storage_client.h"
#include "common/rpc/types.h"
#include "server/storage/chunk_store.h"
#include "server/storage/store_set.h"

namespace dfs::storage {

struct CopyOutcome {
  std::vector<ChunkId> copied;        // and those that were good already
  std::vector<CopyFailure> failed;
  std::uint64_t bytes = 0;            // that came from elsewhere
};

class ChunkCopier {
 public:
  // Bytes held in memory at once, a single larger chunk aside.
  static constexpr std::uint64_t kBytesAtOnce = 16 * MiB;

  // Both must outlive the copier.
  ChunkCopier(StoreSet& stores, StoragePool& servers) : stores_(stores), servers_(servers) {}

  // `self` is this server; `table` says who else may have the chunks.
  CopyOutcome copy(std::span<const CopyTask> tasks, ServerId self, const GroupTable& table);

  // Of `chunks`, those that each member of their group says it has; none of
  // groups that this server is a member of, or that are not whole.
  std::vector<ChunkId> held_by_all_members(std::span<const ChunkId> chunks, ServerId self,
                                           const GroupTable& table);

 private:
  struct Wanted {
    ChunkId chunk;
    ChunkId from;                     // whose bytes it is to have; the same, or another
    bool damaged = false;             // there is a copy here to be replaced
    std::vector<ServerId> sources;    // yet to be asked, the best last
    bool all_asked = true;            // everybody who may have it could be asked
    std::string why = "nobody else may have it";
  };
  using WantedList = std::vector<Wanted*>;

  bool is_new(const Wanted& wanted) const { return wanted.from != wanted.chunk; }
  // From a good copy on our own disks; false if there is none.
  bool copy_here(const Wanted& wanted, CopyOutcome& outcome);
  Result<std::vector<StoredChunk>> ask(ServerId server, const std::vector<ChunkId>& chunks);
  void copy_from(ServerId source, const WantedList& wanted, CopyOutcome& outcome);
  // Those of `stored` that fit into memory together; index of the first that does not.
  std::size_t fetch(ServerId source, const WantedList& wanted,
                    const std::vector<StoredChunk>& stored, std::size_t first,
                    CopyOutcome& outcome);
  Result<void> keep(const Wanted& wanted, const ChunkMeta& from, BufferView bytes);
  void sync(CopyOutcome& outcome);

  StoreSet& stores_;
  StoragePool& servers_;
};

}  // namespace dfs::storage
