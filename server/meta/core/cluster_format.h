// The first rows of a metadata store: made once, checked at every start.
#pragma once

#include "common/base/clock.h"
#include "common/base/result.h"
#include "common/kv/kv_store.h"
#include "server/meta/meta_config.h"
#include "server/meta/store/records.h"

namespace dfs {

// Of the tables in keys.h and records.h.
inline constexpr std::uint32_t kStoreFormat = 1;

// The row "cluster" of `store`. An empty store becomes a new cluster: a
// random id, the policy of `config`, an empty root directory; all of it
// survives power loss when this returns.
//   corrupt        there are rows, but not that one
//   wrong_version  another format
//   invalid        `config` asks for another policy than the cluster has
Result<ClusterRecord> open_cluster(KvStore& store, const MetaConfig& config, const Clock& clock);

}  // namespace dfs
