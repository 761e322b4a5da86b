// The stores of one server: a ChunkStore for each data directory (usually: for
// each disk), all with one identity.
//
// A new chunk goes to one of the stores by their size; where it went is found
// by asking their indexes. A disk that fails takes down its own store: what
// was on it is not found any more, the others go on.
//
// Threads:   any, after open().
// Ownership: each directory is locked while the set lives.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/directory_lock.h"
#include "common/base/guarded.h"
#include "common/base/result.h"
#include "server/storage/chunk_store.h"
#include "server/storage/disk.h"
#include "server/storage/store_identity.h"

namespace dfs::storage {

struct StoreSetOptions {
  std::vector<std::filesystem::path> directories;
  ChunkStoreOptions store;  // `directory` is set for each
  bool lock = true;         // off for disks that are not the machine's
};

class StoreSet {
 public:
  // Opens or creates every directory; looks at all of them before it touches one.
  //   invalid        a directory holds something else
  //   busy           another process uses a directory
  //   wrong_cluster  directories of different servers or clusters; the text names them
  //   corrupt, unsupported   an identity file
  // A directory whose disk fails is left out if there are others.
  static Result<std::unique_ptr<StoreSet>> open(Disk& disk, const Clock& clock,
                                                const StoreSetOptions& options,
                                                const IndexOpener& open_index);
  ~StoreSet();

  // The same in all directories, the name of the store aside.
  StoreIdentity identity() const;
  // Remembers for good to which cluster this server belongs and as what.
  //   wrong_cluster  it belongs to another one already
  Result<void> join(const std::string& cluster, ServerId server);

  // Where this chunk is or, if it is nowhere, is to be stored.
  Result<ChunkStore*> store_to_put(const ChunkMeta& meta);
  // Null if it is nowhere. A single store is not asked: it says so itself.
  Result<ChunkStore*> store_of(ChunkId chunk);

  // As ChunkStore's, over all stores.
  void sync(std::span<const ChunkId> chunks, std::function<void(Result<void>)> done);
  Result<void> erase(std::span<const ChunkId> chunks);
  // Chunks from `first` on, in order, at most `chunks_max`, each once.
  Result<std::vector<ChunkId>> list(ChunkId first, std::size_t chunks_max) const;
  ChunkStore::Space space() const;
  std::vector<std::string> problems() const;  // for people
  std::span<const std::unique_ptr<ChunkStore>> stores() const { return stores_; }

 private:
  StoreSet(Disk& disk) : disk_(disk) {}

  // Makes the directory, locks it and reads whose it is.
  Result<std::optional<StoreIdentity>> take(const std::filesystem::path& path, bool lock);
  // Goes on without a directory whose disk fails; any other error is passed on.
  Result<void> leave_out(const std::filesystem::path& path, const Error& why, bool has_others);

  Disk& disk_;
  struct Directory {
    std::filesystem::path path;
    StoreIdentity identity;
  };
  Guarded<std::vector<Directory>> directories_;
  std::vector<DirectoryLock> locks_;  // before the stores: released after them
  std::vector<std::string> left_out_;
  std::vector<std::unique_ptr<ChunkStore>> stores_;
};

}  // namespace dfs::storage
