// The extents and extended attributes of one inode: extents lie apart, inside
// the file, and in chunks that are long enough; what the inode counts is right.
#pragma once

#include <optional>

#include "server/meta/fsck/finding.h"
#include "server/meta/fsck/path_names.h"
#include "server/meta/fsck/row_pass.h"
#include "server/meta/fsck/subject.h"
#include "server/meta/fsck/table_rows.h"

namespace dfs::fsck {

// Inodes are checked in ascending order, each one that next() says. Threads: one.
class ContentCheck {
 public:
  // All must outlive this.
  ContentCheck(const KvSnapshot& snapshot, const RowFacts& facts, PathNames& paths,
               FindingSink& sink)
      : facts_(facts),
        paths_(paths),
        sink_(sink),
        extents_(snapshot),
        xattrs_(snapshot),
        chunks_(snapshot) {}

  Result<void> first();
  // The next inode that has extents or extended attributes.
  std::optional<InodeId> next() const;
  Result<void> check(const Subject& subject);

 private:
  struct Extents {
    std::uint64_t allocated = 0;
    std::uint64_t end = 0;
    bool whole = true;  // all of them could be read
  };
  Result<void> check_extent(const Subject& subject, Extents& sum);
  Result<void> check_chunk(const Subject& subject, const ExtentRecord& extent);
  Result<void> check_file(const Subject& subject, const Extents& sum);
  Result<void> check_xattrs(const Subject& subject);
  Result<void> found(const Subject& subject, Problem problem, const std::string& what,
                     Finding about);

  const RowFacts& facts_;
  PathNames& paths_;
  FindingSink& sink_;
  TableRows<tables::Extents> extents_;
  TableRows<tables::Xattrs> xattrs_;
  TableRows<tables::Chunks> chunks_;  // to look one up
};

}  // namespace dfs::fsck
