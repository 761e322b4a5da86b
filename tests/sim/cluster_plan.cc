#include "tests/sim/cluster_plan.h"

#include <fmt/format.h>

namespace dfs::sim {

ClusterPlan cluster_plan_of(std::uint64_t seed) {
  Dice dice(seed, 1);
  ClusterPlan plan;
  plan.seed = seed;
  plan.nodes = dice.between(3, 4);
  plan.replicas = dice.one_in(3) ? 2 : 3;
  plan.mounts = dice.between(1, 2);
  plan.programs_per_mount = dice.between(1, 2);
  plan.steps = dice.one_in(4) ? dice.between(20, 60) : dice.between(6, 16);
  if (dice.one_in(2)) plan.one_in_node_deaths = dice.pick<std::uint64_t>({60, 200});
  if (dice.one_in(3)) plan.one_in_meta_deaths = dice.pick<std::uint64_t>({100, 300});
  if (dice.one_in(4)) plan.one_in_mount_deaths = 200;
  if (dice.one_in(3)) plan.one_in_cuts = dice.pick<std::uint64_t>({40, 150});
  if (dice.one_in(2)) plan.one_in_damage = dice.pick<std::uint64_t>({15, 60});
  if (dice.one_in(3)) plan.one_in_disks = dice.pick<std::uint64_t>({60, 200});
  plan.faults_most = dice.between(3, 40);
  plan.power = dice.one_in(2);
  if (dice.one_in(3)) plan.one_in_blackouts = dice.pick<std::uint64_t>({60, 150});
  plan.one_in_preemptions = dice.pick<std::uint64_t>({0, 200, 40});
  plan.one_in_hurries = dice.pick<std::uint64_t>({0, 8, 2});
  plan.moment_most_us = dice.pick<std::uint64_t>({200, 2'000, 10'000});
  return plan;
}

std::string to_text(const ClusterPlan& plan) {
  const auto one_in = [](std::uint64_t number) { return number == 0 ? "no" : fmt::format("one in {}", number); };
  return fmt::format(
      "{} storage servers, {} copies; {} mounts with {} programs each, {} steps each; {} storage servers die, {} "
      "metadata servers, {} mounts{}, {} times all lose power; {} cuts, {} bytes damaged, {} disks in trouble, {} faults at most; {} preemptions, {} hurries, {} "
      "us an event",
      plan.nodes, plan.replicas, plan.mounts, plan.programs_per_mount, plan.steps, one_in(plan.one_in_node_deaths),
      one_in(plan.one_in_meta_deaths), one_in(plan.one_in_mount_deaths), plan.power ? ", some by power loss" : "",
      one_in(plan.one_in_blackouts),
      one_in(plan.one_in_cuts), one_in(plan.one_in_damage), one_in(plan.one_in_disks), plan.faults_most,
      one_in(plan.one_in_preemptions), one_in(plan.one_in_hurries), plan.moment_most_us);
}

}  // namespace dfs::sim
