// What a seed decides beforehand about a run of a whole cluster.
#pragma once

#include <cstdint>
#include <string>

#include "tests/model/dice.h"
#include "tests/sim/storage_node.h"

namespace dfs::sim {

using model::Dice;

struct ClusterPlan {
  std::uint64_t seed = 1;
  std::size_t nodes = 3;
  std::uint32_t replicas = 3;
  std::size_t mounts = 2;
  std::size_t programs_per_mount = 1;
  std::size_t steps = 12;  // of each program
  // Of so many events one is this; 0: none.
  std::uint64_t one_in_node_deaths = 0;
  std::uint64_t one_in_meta_deaths = 0;
  std::uint64_t one_in_mount_deaths = 0;
  std::uint64_t one_in_blackouts = 0;  // all servers lose power at once
  std::uint64_t one_in_cuts = 0;     // between two machines
  std::uint64_t one_in_damage = 0;   // a byte on a disk
  std::uint64_t one_in_disks = 0;    // that fail, are full or slow for a while
  std::size_t faults_most = 20;      // of all together
  bool power = false;                // deaths of machines, not only of processes
  std::uint64_t one_in_preemptions = 0;
  std::uint64_t one_in_hurries = 0;
  std::uint64_t moment_most_us = 2'000;
  Fault fault = Fault::none;
};

ClusterPlan cluster_plan_of(std::uint64_t seed);
std::string to_text(const ClusterPlan& plan);

}  // namespace dfs::sim
