// The stores of one server: a ChunkStore for each data directory (usually: for
// each disk), all with one identity.
//
// A new chunk goes to one of the stores by their size; where it went is found
// by asking their indexes. A disk that fails takes down its own store: what can
// still be read there is read, but it is not listed any more, so that the
// metadata server finds out what this server lacks, and copies of it go to the
// other disks. What is missing at the start is left out in the same way, and
// problems() names it.
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
  // Stores that are missing are given up for good, and directories without an
  // identity are new ones.
  bool replace_missing = false;
};

class StoreSet {
 public:
  // Opens or creates every directory; looks at all of them before it touches one.
  //   invalid        a directory holds something else
  //   busy           another process uses a directory
  //   wrong_cluster  directories of different servers or clusters; the text names them
  //   corrupt, unsupported   an identity file
  // A directory whose disk fails, or whose identity or store is damaged, is left
  // out if there are others. So is one that is empty while a store that this
  // server had is missing: a disk that is not mounted looks like that, and its
  // place is on somebody else's disk.
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
  // Stores whose disk has failed are asked last.
  Result<ChunkStore*> store_of(ChunkId chunk);
  // The same without those.
  Result<ChunkStore*> usable_store_of(ChunkId chunk);

  // As ChunkStore's, over all stores.
  void sync(std::span<const ChunkId> chunks, std::function<void(Result<void>)> done);
  Result<void> erase(std::span<const ChunkId> chunks);
  // Chunks from `first` on, in order, at most `chunks_max`, each once; none of
  // stores whose disk has failed. Nor are those in space().
  Result<std::vector<ChunkId>> list(ChunkId first, std::size_t chunks_max) const;
  ChunkStore::Space space() const;
  std::vector<std::string> problems() const;  // for people
  std::span<const std::unique_ptr<ChunkStore>> stores() const { return stores_; }

 private:
  StoreSet(Disk& disk) : disk_(disk) {}

  // Makes the directory, locks it and reads whose it is.
  Result<std::optional<StoreIdentity>> take(const std::filesystem::path& path, bool lock);
  // Goes on without a directory that cannot be used; any other error is passed on.
  Result<void> leave_out(const std::filesystem::path& path, const Error& why, bool has_others);
  void leave_out_empty(std::vector<std::filesystem::path>& paths,
                       std::vector<std::optional<StoreIdentity>>& found);
  Result<void> open_store(const Clock& clock, const StoreSetOptions& options,
                          const IndexOpener& open_index, const std::filesystem::path& path,
                          const std::optional<StoreIdentity>& found, const StoreIdentity& mine);

  enum class Stores { usable, failed };
  Result<ChunkStore*> find(ChunkId chunk, Stores among);

  Disk& disk_;
  struct Directory {
    std::filesystem::path path;
    StoreIdentity identity;
  };
  Guarded<std::vector<Directory>> directories_;
  std::vector<DirectoryLock> locks_;  // before the stores: released after them
  std::vector<std::string> left_out_;  // for people
  std::vector<std::string> missing_;   // ids of stores
  std::vector<std::unique_ptr<ChunkStore>> stores_;
};

}  // namespace dfs::storage
