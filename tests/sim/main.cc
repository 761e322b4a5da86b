// dfs-sim: runs of a simulated cluster, one a seed.
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "common/base/log.h"
#include "tests/sim/seed_runs.h"
#include "tests/sim/world.h"

namespace dfs::sim {
namespace {

struct Simulation {
  using Plan = sim::Plan;
  using Outcome = sim::Outcome;
  using World = sim::World;
  static constexpr const char* kProgram = "dfs-sim";

  bool no_leases = false;

  Plan plan_for(std::uint64_t seed) const {
    Plan plan = plan_of(seed);
    if (no_leases) plan.leases = Session::Leases::unwanted;
    return plan;
  }
  const char* again() const { return no_leases ? " --no-leases" : ""; }
  static std::string summary(const Counts& total) {
    return fmt::format("{} operations, {} events, {} sessions replaced", total.operations, total.events,
                       total.sessions_replaced);
  }
};

}  // namespace
}  // namespace dfs::sim

int main(int argc, char** argv) {
  using namespace dfs::sim;
  CLI::App app("The real metadata server and real client engines on a simulated network. A seed decides what happens\n"
               "in which order; what the programs were told is judged. Ends with 1 if a run fails.");
  SeedOptions options;
  add_seed_options(app, options);
  Simulation simulation;
  app.add_flag("--no-leases", simulation.no_leases,
               "Mounts see what others do within a second, which should be caught");
  CLI11_PARSE(app, argc, argv);
  const auto logging = dfs::init_logging(Simulation::kProgram, {.level = dfs::LogLevel::warn});
  if (!logging) return 2;
  return SeedRuns(options, simulation).run_all() ? 0 : 1;
}
