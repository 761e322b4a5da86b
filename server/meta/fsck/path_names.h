// What inodes are called: paths from the root, made by walking up.
//
// A directory's name is looked for in its parent's listing, so that a path
// costs as much as the listings on its way; names of directories are kept for
// the next time (4,096 of them).
//
// Threads: one.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "server/meta/fsck/table_rows.h"

namespace dfs::fsck {

class PathNames {
 public:
  // `snapshot` must outlive this.
  explicit PathNames(const KvSnapshot& snapshot)
      : inodes_(snapshot), listing_(snapshot), entries_(snapshot) {}

  // "/a/b". What has no name, or lies in a circle, is "inode 12"; what lies
  // below such a directory is "inode 12/b". Errors: the store's.
  Result<std::string> of_entry(InodeId parent, std::string_view name);
  Result<std::string> of(InodeId inode);

  struct Place {
    InodeId parent;
    std::string name;
  };
  // Where the inode has a name, as far as its own row says where to look.
  Result<std::optional<Place>> place_of(InodeId inode);
  // The same by looking through all directories.
  Result<std::optional<Place>> search(InodeId inode);

 private:
  static constexpr std::size_t kKnownMax = 4'096;
  static constexpr int kDepthMax = 2'048;

  Result<std::string> of(InodeId inode, int depth);

  TableRows<tables::Inodes> inodes_;
  TableRows<tables::Listing> listing_;
  TableRows<tables::Dirents> entries_;
  std::map<InodeId, std::string> known_;  // directories, without a '/' at the end
};

}  // namespace dfs::fsck
