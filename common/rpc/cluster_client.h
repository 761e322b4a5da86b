// The metadata server's ClusterService, as a storage server sees it.
//
// Calls block until answered, at most `timeout`; nothing is retried here.
//   unavailable, timed_out     no answer; the sentence names the address
//   wrong_cluster, wrong_version, ...  what the server answered
// Threads: any, but no handler of the completion loop.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/rpc/live_sessions.h"
#include "common/rpc/types.h"

namespace dfs {

struct RegisterArgs {
  std::string cluster;      // empty: a fresh server, joins whoever answers
  ServerId server;          // 0: a fresh server, gets an id
  std::string identity;     // random, made once per data directory set
  std::string address;      // where clients reach it
  std::string local_socket;
  std::string machine;
  std::map<std::string, std::string> labels;
  std::uint64_t capacity = 0;
  std::uint64_t available = 0;
  std::string version;
};
struct RegisterResult {
  std::string cluster;
  ServerId server;
  std::chrono::milliseconds heartbeat_interval{0};
  GroupTable group_table;
  LiveSessionsPtr sessions = nullptr;    // null: not told
};
struct HeartbeatArgs {
  ServerId server;
  std::string identity;
  std::uint64_t capacity = 0;
  std::uint64_t available = 0;
  std::uint64_t chunks = 0;
  std::uint64_t used = 0;
  std::vector<ChunkId> deleted;          // from the last answer, done
  std::uint64_t group_table_version = 0; // what it has
  std::vector<std::string> problems;     // for people
  std::uint64_t sessions_mark = 0;       // of what it was told
};
struct HeartbeatResult {
  std::vector<ChunkId> to_delete;
  bool more = false;                     // send the next heartbeat at once
  std::optional<GroupTable> group_table; // when newer
  bool register_again = false;
  LiveSessionsPtr sessions = nullptr;    // null: as they were
};

// Work of a storage server on its copies: proto/dfs/v1/cluster.proto says more.
struct CopyTask {
  ChunkId chunk;
  std::vector<ServerId> sources;         // have it besides the members
  std::uint32_t length = 0;              // as far as files use it
  ChunkId from = {};                     // whose bytes it is to have; 0: its own
  friend bool operator==(const CopyTask&, const CopyTask&) = default;
};
struct CopyFailure {
  ChunkId chunk;
  bool nowhere = false;                  // every member was asked, and none has a good copy
  std::string why;
};
struct ListTask {
  ChunkId first;
  std::uint32_t chunks_max = 0;
  bool named = false;                    // the ids too, not only their checksum
};
// Chunks in [first, end) of one group.
struct ListedChunks {
  ChunkId first;
  ChunkId end;
  std::uint64_t checksum = 0;            // checksum_of_list()
  std::optional<std::vector<ChunkId>> chunks;
};
struct RepairArgs {
  ServerId server;
  std::string identity;
  std::vector<ChunkId> copied;           // good and on stable media
  std::vector<CopyFailure> failed;
  std::vector<ChunkId> damaged;
  std::optional<ListedChunks> listed;
  std::uint64_t copied_bytes = 0;
  std::optional<std::vector<GroupId>> groups;  // of which it has chunks
};
struct RepairResult {
  std::vector<CopyTask> to_copy;
  std::vector<ChunkId> to_drop;          // once every member of their group has them
  std::vector<ChunkId> to_delete;        // nothing needs them any more
  std::optional<ListTask> list;
  bool list_groups = false;
  std::chrono::milliseconds pause{0};
  bool register_again = false;
};

// Of ids in ascending order: equal lists have equal ones.
std::uint64_t checksum_of_list(const std::vector<ChunkId>& chunks);

class ClusterClient {
 public:
  virtual ~ClusterClient() = default;
  virtual Result<RegisterResult> register_server(const RegisterArgs& args) = 0;
  virtual Result<HeartbeatResult> heartbeat(const HeartbeatArgs& args) = 0;
  virtual Result<RepairResult> repair(const RepairArgs& args) = 0;
};

// The real one. Connects with the first call, and again after a failure.
std::unique_ptr<ClusterClient> make_cluster_client(
    std::string meta_address, std::chrono::milliseconds timeout = std::chrono::seconds(5));

}  // namespace dfs
