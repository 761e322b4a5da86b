// How a storage server stays known to the metadata server: it registers,
// sends heartbeats, deletes what it is told to and learns the group table and
// which sessions there are.
//
// One step() after another, each at most as long as the client's time limit
// (and the deletions it was given); between them the caller waits as long as
// step() says. It is tried for ever, and each change of state is logged once; a
// refusal before the first registration is not: it goes to who waits for that.
//
// Threads: step() one at a time; the others any.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/rpc/cluster_client.h"
#include "server/storage/membership.h"
#include "server/storage/store_set.h"

namespace dfs::storage {

// What a server says of itself, besides its identity.
struct ServerFacts {
  std::string address;
  std::string local_socket;
  std::string machine;
  std::map<std::string, std::string> labels;
  std::string version;
};

class Heartbeat {
 public:
  // Who gets what the metadata server tells: each newer group table, and the
  // sessions whenever they are others. Called by step().
  struct Listeners {
    std::function<void(const GroupTable&)> groups;
    std::function<void(LiveSessionsPtr)> sessions;
  };

  // What is referred to must outlive this.
  Heartbeat(ClusterClient& meta, StoreSet& stores, ServerFacts facts,
            std::chrono::milliseconds pause_max, Listeners listeners);

  // Does what is due; returns how long to wait before the next step.
  std::chrono::milliseconds step();

  // As it was registered first by this process, or before; nothing yet.
  std::optional<Membership> membership() const;
  // True once registered; false after `timeout`. The error is a refusal that
  // trying again will not change: another cluster, another version.
  Result<bool> wait_registered(std::chrono::milliseconds timeout);

 private:
  std::chrono::milliseconds register_now();
  std::chrono::milliseconds beat();
  Result<void> registered(const RegisterResult& result);
  void learn(const GroupTable& table);
  void learn(const LiveSessionsPtr& sessions);
  void delete_chunks(std::vector<ChunkId> chunks);
  std::chrono::milliseconds trouble(const Error& error);
  std::chrono::milliseconds next_pause();
  void no_trouble();

  ClusterClient& meta_;
  StoreSet& stores_;
  const ServerFacts facts_;
  const std::chrono::milliseconds pause_max_;
  const Listeners listeners_;

  // Of the one who steps.
  bool registered_ = false;
  std::chrono::milliseconds interval_{1'000};
  std::chrono::milliseconds pause_{0};
  std::uint64_t table_version_ = 0;
  std::uint64_t sessions_mark_ = 0;
  std::vector<ChunkId> deleted_;  // to be acknowledged
  std::optional<Errc> told_;      // the trouble that was logged
  bool deletion_fails_ = false;   // the same

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Membership> membership_;
  std::optional<Error> refusal_;
};

}  // namespace dfs::storage
