// Whether what the server told of an inode may still be used without asking.
//
// Where leases are in use and the inode is strict, the lease says; elsewhere its
// age does. Threads: any.
#pragma once

#include <chrono>

#include "common/base/clock.h"
#include "common/client/client_config.h"
#include "common/client/lease_gate.h"

namespace dfs {

class Freshness {
 public:
  // All must outlive it.
  Freshness(const LeaseGate& gate, const Clock& clock, const ClientConfig& config)
      : gate_(gate), clock_(clock), config_(config) {}

  bool leases_decide(Consistency consistency) const {
    return config_.leases && consistency == Consistency::strict;
  }
  // `told` was learnt at `at`.
  bool usable(const Attributes& told, SteadyTime at) const {
    if (leases_decide(told.consistency)) return gate_.holds(told.inode, told.lease_order);
    return clock_.now() - at < longest(told.consistency);
  }
  std::chrono::milliseconds longest(Consistency consistency) const {
    return consistency == Consistency::relaxed ? config_.relaxed_timeout
                                               : config_.attribute_timeout;
  }

 private:
  const LeaseGate& gate_;
  const Clock& clock_;
  const ClientConfig& config_;
};

}  // namespace dfs
