#include "tests/sim/plan.h"

#include <fmt/format.h>

namespace dfs::sim {
namespace {

const char* name_of(Sharing sharing) {
  switch (sharing) {
    case Sharing::blocks: return "blocks";
    case Sharing::names: return "names";
    case Sharing::log: return "a log";
    case Sharing::all: return "blocks, names and a log";
  }
  return "?";
}

}  // namespace

Plan plan_of(std::uint64_t seed) {
  Dice dice(seed, 0);
  Plan plan;
  plan.seed = seed;
  plan.sharing = dice.pick({Sharing::blocks, Sharing::names, Sharing::log, Sharing::all});
  plan.mounts = dice.between(2, 3);
  plan.programs_per_mount = dice.between(1, 2);
  plan.steps = dice.between(4, 10);
  plan.caching = dice.one_in(4) ? Kernel::Caching::none : Kernel::Caching::as_linux;
  plan.pace_most = dice.pick<std::uint64_t>({1, 1, 4, 20});
  if (dice.one_in(3)) plan.one_in_cuts = dice.pick<std::uint64_t>({15, 60});
  if (dice.one_in(5)) plan.one_in_restarts = dice.pick<std::uint64_t>({60, 200});
  if (dice.one_in(5)) plan.one_in_freezes = dice.pick<std::uint64_t>({60, 200});
  plan.one_in_preemptions = dice.pick<std::uint64_t>({0, 0, 200, 40, 8});
  plan.one_in_hurries = dice.pick<std::uint64_t>({0, 8, 2});
  plan.moment_most_us = dice.pick<std::uint64_t>({200, 2'000, 10'000});
  // What another program of its mount reads before it is sure may be gone.
  if (plan.sessions_may_end()) plan.programs_per_mount = 1;
  return plan;
}

std::string to_text(const Plan& plan) {
  const auto one_in = [](std::uint64_t number) { return number == 0 ? "no" : fmt::format("one in {}", number); };
  return fmt::format("{} mounts with {} programs each share {}, {} steps each; the kernel {}; {} cuts, {} restarts, "
                     "{} freezes; paces up to {}; {} preemptions, {} hurries, {} us an event",
                     plan.mounts, plan.programs_per_mount, name_of(plan.sharing), plan.steps,
                     plan.caching == Kernel::Caching::none ? "keeps nothing" : "keeps what it may",
                     one_in(plan.one_in_cuts), one_in(plan.one_in_restarts), one_in(plan.one_in_freezes),
                     plan.pace_most, one_in(plan.one_in_preemptions), one_in(plan.one_in_hurries),
                     plan.moment_most_us);
}

}  // namespace dfs::sim
