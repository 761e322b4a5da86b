// The storage servers and whether they are alive, in memory.
//
// Who they are is durable (rows `N`); what they last said is not. A server is
// dead once it has been silent for longer than allowed. After a start, and
// after registering, nobody is dead: silence is counted from then on.
//
// Threads: the core's; no locks.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

#include "common/base/clock.h"
#include "common/rpc/types.h"

namespace dfs {

struct NodeTableOptions {
  std::chrono::nanoseconds silence_max = std::chrono::seconds{30};
  // Then it is out: others take its place.
  std::chrono::nanoseconds out_after = std::chrono::minutes{10};
};

// What a heartbeat says of the server's space.
struct NodeUsage {
  std::uint64_t capacity = 0;
  std::uint64_t available = 0;  // what clients may still fill
  std::uint64_t chunks = 0;
  std::uint64_t used = 0;
};

struct Node {
  ServerInfo info;       // `alive`, capacity, available and chunks as last known
  std::string identity;
  SteadyTime last_heard;
  bool draining = false;      // its memberships are to move
  bool told_usage = false;    // in this life of ours
  // How often it has come: by registering, or back to life.
  std::uint64_t arrivals = 0;
};

class NodeTable {
 public:
  NodeTable(const Clock& clock, NodeTableOptions options) : clock_(clock), options_(options) {}

  // Adds or replaces a server, alive from now on; draining stays as it was.
  void put(ServerInfo info, std::string identity);
  // True if this brought it back to life. `server` must be known.
  bool heard_from(ServerId server, const NodeUsage& usage);
  // It may have lost chunks: it counts as come again. `server` must be known.
  void note_loss(ServerId server) { ++nodes_.at(server).arrivals; }
  // `server` must be known.
  void set_draining(ServerId server, bool draining);
  // Declares dead who has been silent too long; true if that was news.
  bool expire();

  const Node* find(ServerId server) const;
  // The server with this identity, or nullptr.
  const Node* find_identity(const std::string& identity) const;
  bool is_alive(ServerId server) const;
  // Dead for so long that it is not waited for any more.
  bool is_out(ServerId server) const;
  std::size_t alive_count() const;
  const std::map<ServerId, Node>& all() const { return nodes_; }

 private:
  const Clock& clock_;
  const NodeTableOptions options_;
  std::map<ServerId, Node> nodes_;
};

}  // namespace dfs
