// The inode that a pass has come to.
#pragma once

#include <optional>

#include "server/meta/store/records.h"

namespace dfs::fsck {

struct Subject {
  InodeId inode{};
  bool exists = false;                 // it has a row
  std::optional<InodeRecord> record{};  // none: it has no row, or that does not hold

  // Its row does not hold: nothing is concluded of it.
  bool is_unreadable() const { return exists && !record; }
};

}  // namespace dfs::fsck
