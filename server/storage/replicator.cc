#include "server/storage/replicator.h"

#include <utility>

namespace dfs::storage {

std::shared_ptr<ForwardLink> Replicator::link(const ForwardTarget& target,
                                              const std::string& cluster) {
  std::shared_ptr<ForwardLink> moved;  // let go outside the lock
  return links_.with([&](Links& links) {
    auto& link = links[target.server];
    if (link && link->target().address == target.address) return link;
    moved = std::exchange(link,
                          std::make_shared<ForwardLink>(target, cluster, options_, clock_));
    return link;
  });
}

void Replicator::check_progress() {
  const Links links = links_.with([](const Links& all) { return all; });
  for (const auto& [server, link] : links) link->check_progress();
}

void Replicator::stop() {
  const Links links = links_.with([](Links& all) { return std::exchange(all, {}); });
  for (const auto& [server, link] : links) link->stop();
}

}  // namespace dfs::storage
