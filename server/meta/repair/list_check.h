// Compares a part of a storage server's list with what the tables say it
// should have.
//
//   in use, not listed by a member     noted as missing (table `M`)
//   in use, listed by a stranger       its copy is dropped once the group is
//                                      whole; until then it is a source
//   listed, not in use, id given up    garbage: deleted by whoever has it
//   listed, not in use, younger        may be on its way into a file: left alone
//
// While the metadata is of an older moment than what servers have
// (Cluster::keeps_unknown), no id is given up, and who is no member may have what
// the members lack: they look and copy.
//
// Nothing is deleted that might be the last good copy: a stranger's copy only
// when each member of the group is there for good, lacks nothing of the
// chunk, and (the server asks them itself) says that it has it.
//
// Threads: the core's; no state.
#pragma once

#include <cstddef>
#include <vector>

#include "common/rpc/cluster_client.h"
#include "server/meta/cluster/cluster.h"

namespace dfs {

// Rows compared at once: about two milliseconds.
inline constexpr std::size_t kListRowsMax = 2'048;

struct ListFindings {
  ChunkId checked_to;           // what is below has been compared
  bool names_wanted = false;    // the lists differ: the ids are needed to say how
  std::size_t missing = 0;
  std::size_t garbage = 0;
  std::size_t unknown = 0;      // left alone, whatever the reason
  std::vector<ChunkId> to_drop;
  std::vector<ChunkId> to_delete;
};

// `listed` lies inside one group and its ids are in order.
Result<ListFindings> check_list(Transaction& txn, Totals& totals, Cluster& cluster,
                                ServerId server, const ListedChunks& listed);

}  // namespace dfs
