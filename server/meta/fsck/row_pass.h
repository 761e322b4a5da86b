// The first pass: every row of the store by itself, whether its key and value
// hold; and what later passes need to know of all of them.
#pragma once

#include <map>
#include <optional>
#include <set>

#include "common/kv/kv_store.h"
#include "server/meta/fsck/balance.h"
#include "server/meta/fsck/finding.h"
#include "server/meta/ops/operation.h"
#include "server/meta/store/records.h"

namespace dfs::fsck {

// Groups, servers and sessions are few: the settings of the cluster bound them.
struct RowFacts {
  std::optional<ClusterRecord> cluster;
  std::map<GroupId, GroupRecord> groups;
  std::set<ServerId> servers;
  std::set<SessionId> sessions;
  Totals counted;
  std::uint64_t names_counted = 0;    // directory entries
  std::uint64_t extents_counted = 0;
  Balance names;       // of each inode: directory entries against links
  Balance references;  // of each chunk: extents against references
  // Some rows of these tables do not hold, so that what is counted is too little.
  bool names_are_whole = true;
  bool extents_are_whole = true;
  bool servers_are_whole = true;   // and groups
  bool sessions_are_whole = true;
  InodeId last_inode{};
};

// Errors: the store's, the sink's.
Result<RowFacts> pass_rows(const KvSnapshot& snapshot, FindingSink& sink);

}  // namespace dfs::fsck
