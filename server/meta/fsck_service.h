// The door for `dfs fsck`: FsckService. Unpacks, hands over to the desk of
// checks, answers; on a few threads of its own, because answers wait.
#pragma once

#include <map>
#include <string>

#include "common/base/executor.h"
#include "common/kv/kv_store.h"
#include "common/rpc/stream_server.h"
#include "server/meta/fsck/desk.h"

namespace dfs {

// Methods by their full names. All must outlive the server.
std::map<std::string, UnaryMethod> fsck_service(fsck::Desk& desk, const KvStore& store,
                                                Executor& executor);

}  // namespace dfs
