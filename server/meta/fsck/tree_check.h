// Whether a directory can be reached: going up from parent to parent ends at
// the root.
#pragma once

#include <set>

#include "server/meta/fsck/finding.h"
#include "server/meta/fsck/path_names.h"
#include "server/meta/fsck/table_rows.h"

namespace dfs::fsck {

// Threads: one.
class TreeCheck {
 public:
  // All must outlive this.
  TreeCheck(const KvSnapshot& snapshot, PathNames& paths, FindingSink& sink)
      : paths_(paths), sink_(sink), inodes_(snapshot) {}

  // A circle is found once, at the smallest of its inodes. A parent that does
  // not exist is not: the name that lies there is (name_check.h).
  Result<void> check(InodeId directory, const InodeRecord& record);

 private:
  // Those that are known to be reached; their subdirectories mostly come later.
  static constexpr std::size_t kReachedMax = 65'536;

  Result<std::optional<InodeId>> parent_of(InodeId directory);
  Result<bool> is_smallest_of_its_circle(InodeId directory);

  PathNames& paths_;
  FindingSink& sink_;
  TableRows<tables::Inodes> inodes_;
  std::set<InodeId> reached_{kRootInode};
};

}  // namespace dfs::fsck
