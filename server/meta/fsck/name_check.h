// The names in one directory: each leads to an inode of its type, is listed
// once, and is counted.
#pragma once

#include <optional>

#include "server/meta/fsck/finding.h"
#include "server/meta/fsck/path_names.h"
#include "server/meta/fsck/subject.h"
#include "server/meta/fsck/table_rows.h"

namespace dfs::fsck {

// Inodes are checked in ascending order, each one that next() says. Threads: one.
class NameCheck {
 public:
  // All must outlive this.
  NameCheck(const KvSnapshot& snapshot, PathNames& paths, FindingSink& sink)
      : paths_(paths),
        sink_(sink),
        names_(snapshot),
        listing_(snapshot),
        children_(snapshot),
        listed_(snapshot),
        named_(snapshot) {}

  Result<void> first();
  // The next inode that has names or listing entries in it.
  std::optional<InodeId> next() const;
  Result<void> check(const Subject& directory);

 private:
  struct Counts {
    std::uint64_t names = 0;
    std::uint64_t listed = 0;  // names that have their listing entry
    std::uint64_t subdirectories = 0;
    std::uint64_t last_cookie = 0;
  };
  Result<void> check_name(const Subject& directory, Counts& counts);
  Result<void> check_listed(const Subject& directory, const Finding& about, Counts& counts);
  Result<void> check_listing(const Subject& directory);
  Result<void> check_counts(const Subject& directory, const Counts& counts);

  PathNames& paths_;
  FindingSink& sink_;
  TableRows<tables::Dirents> names_;
  TableRows<tables::Listing> listing_;
  TableRows<tables::Inodes> children_;  // the following: to look something up
  TableRows<tables::Listing> listed_;
  TableRows<tables::Dirents> named_;
};

}  // namespace dfs::fsck
