#include "server/meta/cluster/node_table.h"

#include <algorithm>
#include <utility>

#include "common/base/log.h"

namespace dfs {

void NodeTable::put(ServerInfo info, std::string identity) {
  info.alive = true;
  const ServerId server = info.server;
  Node& node = nodes_[server];
  node.info = std::move(info);
  node.identity = std::move(identity);
  node.last_heard = clock_.now();
  ++node.arrivals;
}

bool NodeTable::heard_from(ServerId server, const NodeUsage& usage) {
  const auto found = nodes_.find(server);
  invariant(found != nodes_.end(), "heard from a storage server that is not in the table");
  Node& node = found->second;
  node.last_heard = clock_.now();
  node.info.capacity = usage.capacity;
  node.info.available = usage.available;
  node.info.chunks = usage.chunks;
  node.told_usage = true;
  if (std::exchange(node.info.alive, true)) return false;
  ++node.arrivals;
  log_info("cluster", "storage server {} at {} is back", server.value(), node.info.address);
  return true;
}

void NodeTable::set_draining(ServerId server, bool draining) {
  const auto found = nodes_.find(server);
  invariant(found != nodes_.end(), "a storage server that is drained is in the table");
  found->second.draining = draining;
}

bool NodeTable::expire() {
  const SteadyTime now = clock_.now();
  bool news = false;
  for (auto& [server, node] : nodes_) {
    if (!node.info.alive || now - node.last_heard <= options_.silence_max) continue;
    node.info.alive = false;
    news = true;
    log_warn("cluster", "storage server {} at {} is silent and counts as dead", server.value(),
             node.info.address);
  }
  return news;
}

const Node* NodeTable::find(ServerId server) const {
  const auto found = nodes_.find(server);
  return found == nodes_.end() ? nullptr : &found->second;
}

const Node* NodeTable::find_identity(const std::string& identity) const {
  const auto found = std::find_if(nodes_.begin(), nodes_.end(), [&](const auto& entry) {
    return entry.second.identity == identity;
  });
  return found == nodes_.end() ? nullptr : &found->second;
}

bool NodeTable::is_alive(ServerId server) const {
  const Node* node = find(server);
  return node != nullptr && node->info.alive;
}

bool NodeTable::is_out(ServerId server) const {
  const Node* node = find(server);
  return node != nullptr && !node->info.alive && clock_.now() - node->last_heard > options_.out_after;
}

std::size_t NodeTable::alive_count() const {
  return static_cast<std::size_t>(std::count_if(
      nodes_.begin(), nodes_.end(), [](const auto& entry) { return entry.second.info.alive; }));
}

}  // namespace dfs
