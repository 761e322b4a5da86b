// What a storage server says of the chunks that it has, part by part.
// Threads: any.
#pragma once

#include <vector>

#include "common/base/result.h"
#include "common/rpc/cluster_client.h"
#include "server/storage/store_set.h"

namespace dfs::storage {

// The part that `task` asks for.
Result<ListedChunks> list_chunks(const StoreSet& stores, const ListTask& task);
// Of which groups there are chunks, ascending.
Result<std::vector<GroupId>> list_groups(const StoreSet& stores);

}  // namespace dfs::storage
