// The links to other members, by server. A link is made when a chunk is to be
// forwarded there for the first time.
//
// Threads: any.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "common/base/clock.h"
#include "common/base/guarded.h"
#include "server/storage/forward_link.h"

namespace dfs::storage {

class Replicator {
 public:
  // `clock` must outlive the replicator.
  Replicator(const ForwardOptions& options, const Clock& clock) : options_(options), clock_(clock) {}
  ~Replicator() { stop(); }

  // The link to `target`; a new one if the server's address has changed.
  std::shared_ptr<ForwardLink> link(const ForwardTarget& target, const std::string& cluster);
  // From time to time: see ForwardLink.
  void check_progress();
  void stop();

 private:
  using Links = std::map<ServerId, std::shared_ptr<ForwardLink>>;
  const ForwardOptions options_;
  const Clock& clock_;
  Guarded<Links> links_;
};

}  // namespace dfs::storage
