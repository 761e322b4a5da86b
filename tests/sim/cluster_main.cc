// dfs-cluster-sim: runs of a whole simulated cluster, one a seed.
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <map>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "common/base/log.h"
#include "tests/sim/apart.h"
#include "tests/sim/cluster_world.h"

namespace dfs::sim {
namespace {

constexpr std::chrono::seconds kLongest{120};

struct CommandLine {
  std::uint64_t seed = 1;
  std::uint64_t seeds = 1;
  std::filesystem::path traces;
  bool verbose = false;
  bool keep_going = false;
  Fault fault = Fault::none;
};

const std::map<std::string, Fault> kFaults = {{"claims-sync", Fault::claims_sync},
                                              {"trusts-disk", Fault::trusts_disk},
                                              {"repairs-nothing", Fault::repairs_nothing}};

std::string name_of(Fault fault) {
  for (const auto& [name, each] : kFaults)
    if (each == fault) return name;
  return "none";
}

ClusterPlan plan_for(const CommandLine& line, std::uint64_t seed) {
  ClusterPlan plan = cluster_plan_of(seed);
  plan.fault = line.fault;
  return plan;
}

std::string to_message(const ClusterOutcome& outcome) {
  return std::string(reinterpret_cast<const char*>(&outcome.counts), sizeof outcome.counts) + outcome.problem;
}

ClusterOutcome from_message(const std::string& message) {
  ClusterOutcome outcome;
  if (message.size() < sizeof outcome.counts) return {.problem = "what it told is cut off"};
  std::memcpy(&outcome.counts, message.data(), sizeof outcome.counts);
  outcome.problem = message.substr(sizeof outcome.counts);
  return outcome;
}

// Logged in silent runs too, see main.cc.
ClusterOutcome run_one(const ClusterPlan& plan, Trace::Talk talk, const std::filesystem::path& output = {}) {
  const std::filesystem::path errors = talk == Trace::Talk::silent ? "/dev/null" : output;
  const Ended ended = run_apart({kLongest, output, errors}, [&](const auto& end) {
    Trace trace(talk);
    ClusterOutcome outcome;
    {
      ClusterWorld world(plan, trace, [&](const std::string& problem) { end(to_message({.problem = problem})); });
      outcome = world.run();
      // Whatever its threads do now makes no difference.
      if (!outcome.problem.empty()) {
        if (talk == Trace::Talk::aloud) fmt::print("{}\n", outcome.problem);
        end(to_message(outcome));
      }
    }
    end(to_message(outcome));
  });
  if (!ended.told) return {.problem = "the process has ended " + ended.how};
  return from_message(*ended.told);
}

void tell_problem(const CommandLine& line, const ClusterPlan& plan, const std::string& problem) {
  fmt::print("seed {}: {}\n{}\n", plan.seed, to_text(plan), problem);
  if (!line.traces.empty()) {
    std::error_code ignored;
    std::filesystem::create_directories(line.traces, ignored);
    const auto path = line.traces / fmt::format("cluster-seed-{}.txt", plan.seed);
    std::filesystem::remove(path, ignored);
    run_one(plan, Trace::Talk::aloud, path);
    fmt::print("What happened stands in {}\n", path.string());
  }
  fmt::print("Again: dfs-cluster-sim --seed {} --verbose{}\n\n", plan.seed,
             line.fault == Fault::none ? "" : " --broken " + name_of(line.fault));
  std::fflush(stdout);
}

// False: a run has failed.
bool run_all(const CommandLine& line) {
  ClusterCounts total;
  std::size_t failed = 0;
  for (std::uint64_t seed = line.seed; seed < line.seed + line.seeds; ++seed) {
    const ClusterPlan plan = plan_for(line, seed);
    const ClusterOutcome outcome = run_one(plan, line.verbose ? Trace::Talk::aloud : Trace::Talk::silent);
    total += outcome.counts;
    if (outcome.problem.empty()) continue;
    tell_problem(line, plan, outcome.problem);
    ++failed;
    if (!line.keep_going) return false;
  }
  fmt::print("{} seeds from {} on: {} events, {} deaths, {} cuts, {} bytes damaged, {} disks in trouble; {} have failed\n",
             line.seeds, line.seed, total.events, total.deaths, total.cuts, total.damaged, total.disks, failed);
  return failed == 0;
}

}  // namespace
}  // namespace dfs::sim

int main(int argc, char** argv) {
  using namespace dfs::sim;
  CommandLine line;
  CLI::App app("A whole cluster - metadata server, storage servers, client engines - on simulated disks and a\n"
               "simulated network. A seed decides what happens and what goes wrong; then what was made safe must\n"
               "be there. Ends with 1 if a run fails.");
  app.add_option("--seed", line.seed, "The first seed (1)");
  app.add_option("--seeds", line.seeds, "How many, one after another (1)");
  app.add_option("--traces", line.traces, "A directory for what happened in runs that failed");
  app.add_flag("--verbose", line.verbose, "Tell everything that happens");
  app.add_flag("--keep-going", line.keep_going, "Go on with the next seed when a run has failed");
  app.add_option("--broken", line.fault, "Break a promise on purpose, which should be caught")
      ->transform(CLI::CheckedTransformer(kFaults));
  CLI11_PARSE(app, argc, argv);
  const auto logging = dfs::init_logging("dfs-cluster-sim", {.level = dfs::LogLevel::warn});
  if (!logging) return 2;
  return run_all(line) ? 0 : 1;
}
