// Metadata out of nothing but what storage servers have, when the old one is
// gone and there is no backup.
//
// Each chunk says for which inode it was written, where in the file, and when.
// So the files come back with their bytes, as /lost+found/inode-NUMBER; names,
// owners, modes, links, attributes and everything without bytes do not. The chunks stay
// where they are: groups are made anew from their ids and from who has them.
//
// All of it lies in the store while it is sorted; in memory is one file at a time.
//
// Threads: one.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/result.h"
#include "common/base/row_file.h"
#include "common/kv/kv_store.h"
#include "common/rpc/chunk_inventory.h"
#include "server/meta/salvage/file_layout.h"
#include "server/meta/store/records.h"

namespace dfs {

struct SalvageOptions {
  std::optional<std::uint32_t> replicas;  // of new files; unset: as most groups have
  std::uint32_t chunk_size = kChunkSizeDefault;  // of new data
  std::chrono::hours keep_unknown{24 * 7};
};

struct SalvageSummary {
  std::string cluster;
  std::uint64_t servers = 0;
  std::uint64_t groups = 0;
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
  std::uint64_t chunks = 0;     // that files use now
  std::uint64_t hidden = 0;     // that later ones cover
  std::uint64_t unplaced = 0;   // of which it is not known where they belong
  std::uint64_t ambiguous = 0;  // files in which it is not known what is later
};

class Salvage {
 public:
  // `store` is empty, and must outlive the salvage.
  Salvage(KvStore& store, WallNanos now) : store_(store), now_(now) {}

  // One server's inventory, of which nothing has been read yet.
  //   wrong_cluster  it is of another cluster than those before
  //   exists         that server's has been added already
  Result<void> add(RowFileReader& file, const std::string& name);
  // To be called once, when all have been added. The store is a metadata
  // server's then, and on stable media.
  Result<SalvageSummary> finish(const SalvageOptions& options);

 private:
  struct GroupFacts {
    std::map<ServerId, std::uint64_t> chunks;  // how many each server has
    std::uint64_t last_serial = 0;
  };

  Result<void> look_at_groups();
  Result<void> make_files();
  Result<void> make_file(InodeId inode, std::vector<LaidChunk> chunks);
  void make_directories();
  void make_servers();
  void make_groups();
  void make_cluster();
  std::vector<ServerId> members_of(const GroupFacts& facts) const;
  std::uint32_t usual_replicas() const;
  InodeRecord new_inode(FileType type, std::uint32_t mode, InodeId parent) const;

  template <typename Table>
  void put(typename Table::View key, const typename Table::Record& record);
  // Once enough has come together, or all of it.
  enum class Flush { if_full, all };
  Result<void> write(Flush when);

  KvStore& store_;
  const WallNanos now_;
  KvBatch batch_;
  std::string raw_;
  std::string value_;
  std::string cluster_;
  std::map<ServerId, std::string> servers_;  // identities
  std::map<GroupId, GroupFacts> groups_;
  std::uint64_t last_inode_ = 1;
  std::uint64_t next_cookie_ = 0;
  SalvageOptions options_;
  std::uint32_t replicas_ = 0;
  InodeId lost_and_found_;
  SalvageSummary summary_;
};

// The whole way: reads the inventories, makes and fills `directory`.
//   not_empty  there is something in `directory`; nothing was changed
Result<SalvageSummary> salvage(const std::vector<std::filesystem::path>& inventories,
                               const std::filesystem::path& directory, const Clock& clock,
                               const SalvageOptions& options);

}  // namespace dfs
