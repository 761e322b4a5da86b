// dfs-cluster-sim: runs of a whole simulated cluster, one a seed.
#include <map>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "common/base/log.h"
#include "tests/sim/cluster_world.h"
#include "tests/sim/seed_runs.h"

namespace dfs::sim {
namespace {

const std::map<std::string, Fault> kFaults = {{"claims-sync", Fault::claims_sync},
                                              {"trusts-disk", Fault::trusts_disk},
                                              {"repairs-nothing", Fault::repairs_nothing}};

struct Simulation {
  using Plan = ClusterPlan;
  using Outcome = ClusterOutcome;
  using World = ClusterWorld;
  static constexpr const char* kProgram = "dfs-cluster-sim";

  Fault fault = Fault::none;

  Plan plan_for(std::uint64_t seed) const {
    Plan plan = cluster_plan_of(seed);
    plan.fault = fault;
    return plan;
  }
  std::string again() const {
    for (const auto& [name, each] : kFaults)
      if (each == fault) return " --broken " + name;
    return {};
  }
  static std::string summary(const ClusterCounts& total) {
    return fmt::format("{} events, {} deaths, {} cuts, {} bytes damaged, {} disks in trouble", total.events,
                       total.deaths, total.cuts, total.damaged, total.disks);
  }
};

}  // namespace
}  // namespace dfs::sim

int main(int argc, char** argv) {
  using namespace dfs::sim;
  CLI::App app("A whole cluster - metadata server, storage servers, client engines - on simulated disks and a\n"
               "simulated network. A seed decides what happens and what goes wrong; then what was made safe must\n"
               "be there. Ends with 1 if a run fails.");
  SeedOptions options;
  add_seed_options(app, options);
  Simulation simulation;
  app.add_option("--broken", simulation.fault, "Break a promise on purpose, which should be caught")
      ->transform(CLI::CheckedTransformer(kFaults));
  CLI11_PARSE(app, argc, argv);
  const auto logging = dfs::init_logging(Simulation::kProgram, {.level = dfs::LogLevel::warn});
  if (!logging) return 2;
  return SeedRuns(options, simulation).run_all() ? 0 : 1;
}
