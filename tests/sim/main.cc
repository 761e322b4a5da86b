// dfs-sim: runs of a simulated cluster, one a seed.
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "common/base/log.h"
#include "tests/sim/apart.h"
#include "tests/sim/world.h"

namespace dfs::sim {
namespace {

// A run takes some milliseconds, and some seconds with all that may slow it down.
constexpr std::chrono::seconds kLongest{120};

struct CommandLine {
  std::uint64_t seed = 1;
  std::uint64_t seeds = 1;
  std::filesystem::path traces;
  bool verbose = false;
  bool no_leases = false;
  bool keep_going = false;
};

Plan plan_for(const CommandLine& line, std::uint64_t seed) {
  Plan plan = plan_of(seed);
  if (line.no_leases) plan.leases = Session::Leases::unwanted;
  return plan;
}

std::string to_message(const Outcome& outcome) {
  return std::string(reinterpret_cast<const char*>(&outcome.counts), sizeof outcome.counts) + outcome.problem;
}

Outcome from_message(const std::string& message) {
  Outcome outcome;
  if (message.size() < sizeof outcome.counts) return {.problem = "what it told is cut off"};
  std::memcpy(&outcome.counts, message.data(), sizeof outcome.counts);
  outcome.problem = message.substr(sizeof outcome.counts);
  return outcome;
}

// What is logged is logged in silent runs too: that takes locks, and whoever takes a
// lock may lose his turn.
Outcome run_one(const Plan& plan, Trace::Talk talk, const std::filesystem::path& output = {}) {
  const std::filesystem::path errors = talk == Trace::Talk::silent ? "/dev/null" : output;
  const Ended ended = run_apart({kLongest, output, errors}, [&](const auto& end) {
    Trace trace(talk);
    Outcome outcome;
    {
      World world(plan, trace, [&](const std::string& problem) { end(to_message({.problem = problem})); });
      outcome = world.run();
    }
    if (talk == Trace::Talk::aloud) fmt::print("{}\n", outcome.problem);
    end(to_message(outcome));
  });
  if (!ended.told) return {.problem = "the process has ended " + ended.how};
  return from_message(*ended.told);
}

void tell_problem(const CommandLine& line, const Plan& plan, const std::string& problem) {
  fmt::print("seed {}: {}\n{}\n", plan.seed, to_text(plan), problem);
  if (!line.traces.empty()) {
    std::error_code ignored;
    std::filesystem::create_directories(line.traces, ignored);
    const auto path = line.traces / fmt::format("seed-{}.txt", plan.seed);
    std::filesystem::remove(path, ignored);
    run_one(plan, Trace::Talk::aloud, path);
    fmt::print("What happened stands in {}\n", path.string());
  }
  fmt::print("Again: dfs-sim --seed {} --verbose{}\n\n", plan.seed, line.no_leases ? " --no-leases" : "");
  std::fflush(stdout);
}

// False: a run has failed.
bool run_all(const CommandLine& line) {
  Counts total;
  std::size_t failed = 0;
  for (std::uint64_t seed = line.seed; seed < line.seed + line.seeds; ++seed) {
    const Plan plan = plan_for(line, seed);
    const Outcome outcome = run_one(plan, line.verbose ? Trace::Talk::aloud : Trace::Talk::silent);
    total += outcome.counts;
    if (outcome.problem.empty()) continue;
    tell_problem(line, plan, outcome.problem);
    ++failed;
    if (!line.keep_going) return false;
  }
  fmt::print("{} seeds from {} on: {} operations, {} events, {} sessions replaced; {} have failed\n", line.seeds,
             line.seed, total.operations, total.events, total.sessions_replaced, failed);
  return failed == 0;
}

}  // namespace
}  // namespace dfs::sim

int main(int argc, char** argv) {
  using namespace dfs::sim;
  CommandLine line;
  CLI::App app("The real metadata server and real client engines on a simulated network. A seed decides what happens\n"
               "in which order; what the programs were told is judged. Ends with 1 if a run fails.");
  app.add_option("--seed", line.seed, "The first seed (1)");
  app.add_option("--seeds", line.seeds, "How many, one after another (1)");
  app.add_option("--traces", line.traces, "A directory for what happened in runs that failed");
  app.add_flag("--verbose", line.verbose, "Tell everything that happens");
  app.add_flag("--no-leases", line.no_leases, "Mounts see what others do within a second, which should be caught");
  app.add_flag("--keep-going", line.keep_going, "Go on with the next seed when a run has failed");
  CLI11_PARSE(app, argc, argv);
  const auto logging = dfs::init_logging("dfs-sim", {.level = dfs::LogLevel::warn});
  if (!logging) return 2;
  return run_all(line) ? 0 : 1;
}
