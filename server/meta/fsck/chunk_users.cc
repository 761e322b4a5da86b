#include "server/meta/fsck/chunk_users.h"

#include <optional>
#include <utility>

#include <fmt/format.h>

#include "server/meta/fsck/path_names.h"
#include "server/meta/fsck/table_rows.h"

namespace dfs::fsck {
namespace {

constexpr std::uint64_t kRowsPerReport = 1'024;
// Files whose own row does not lead to a name (it had several, and lost that
// one): all directories are looked through for each.
constexpr int kSearchesMax = 64;

class Users {
 public:
  explicit Users(const KvSnapshot& snapshot) : paths_(snapshot) {}

  Result<std::string> path_of(InodeId inode) {
    if (inode == inode_) return path_;
    std::optional<PathNames::Place> place = TRY(paths_.place_of(inode));
    if (!place && ++searches_ <= kSearchesMax) place = TRY(paths_.search(inode));
    path_ = fmt::format("inode {} (no name)", inode.value());
    if (place) path_ = TRY(paths_.of_entry(place->parent, place->name));
    inode_ = inode;
    return path_;
  }

 private:
  PathNames paths_;
  int searches_ = 0;
  InodeId inode_{};  // whose path it is
  std::string path_;
};

}  // namespace

Result<void> find_users(const KvSnapshot& snapshot, const std::set<ChunkId>& chunks,
                        const std::function<Result<void>(Use)>& found,
                        const std::function<Result<void>(std::uint64_t rows)>& passed) {
  Users users(snapshot);
  TableRows<tables::Extents> extents(snapshot);
  TRY(extents.first());
  for (std::uint64_t rows = 1; extents.valid(); ++rows) {
    const ExtentRecord* extent = extents.record();
    if (extent != nullptr && chunks.contains(extent->chunk)) {
      const ExtentKey key = extents.key();
      std::string path = TRY(users.path_of(key.inode));
      TRY(found(Use{extent->chunk, key.inode, std::move(path), key.offset, extent->length}));
    }
    if (rows % kRowsPerReport == 0) TRY(passed(kRowsPerReport));
    TRY(extents.next());
  }
  return {};
}

}  // namespace dfs::fsck
