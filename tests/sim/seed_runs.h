// The runs of a simulation, one a seed, each in a process of its own: what its programs
// have in common.
//
// A Simulation has
//   Plan, with its `seed`, and to_text(Plan)
//   Outcome, with `counts` (plain numbers, and +=) and `problem` (empty: all went well)
//   World(plan, trace, stuck), as world.h has it, and run()
//   kProgram, plan_for(seed)
//   again(), summary(counts)    for people: what a repetition is told besides, what came of all
//
// Threads: one, in a process that has no other.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>
#include <type_traits>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "tests/sim/apart.h"
#include "tests/sim/trace.h"

namespace dfs::sim {

struct SeedOptions {
  std::uint64_t seed = 1;
  std::uint64_t seeds = 1;
  std::filesystem::path traces;
  bool verbose = false;
  bool keep_going = false;
};

inline void add_seed_options(CLI::App& app, SeedOptions& options) {
  app.add_option("--seed", options.seed, "The first seed (1)");
  app.add_option("--seeds", options.seeds, "How many, one after another (1)");
  app.add_option("--traces", options.traces, "A directory for what happened in runs that failed");
  app.add_flag("--verbose", options.verbose, "Tell everything that happens");
  app.add_flag("--keep-going", options.keep_going, "Go on with the next seed when a run has failed");
}

template <typename Simulation>
class SeedRuns {
 public:
  using Plan = typename Simulation::Plan;
  using Outcome = typename Simulation::Outcome;
  using Counts = decltype(Outcome::counts);

  // A run takes some milliseconds, and some seconds with all that may slow it down.
  static constexpr std::chrono::seconds kLongest{120};

  // `simulation` must outlive this.
  SeedRuns(const SeedOptions& options, const Simulation& simulation)
      : options_(options), simulation_(simulation) {}

  // False: a run has failed.
  bool run_all() const {
    Counts total;
    std::size_t failed = 0;
    for (std::uint64_t seed = options_.seed; seed < options_.seed + options_.seeds; ++seed) {
      const Plan plan = simulation_.plan_for(seed);
      const Outcome outcome = run_one(plan, options_.verbose ? Trace::Talk::aloud : Trace::Talk::silent);
      total += outcome.counts;
      if (outcome.problem.empty()) continue;
      tell_problem(plan, outcome.problem);
      ++failed;
      if (!options_.keep_going) return false;
    }
    fmt::print("{} seeds from {} on: {}; {} have failed\n", options_.seeds, options_.seed,
               simulation_.summary(total), failed);
    return failed == 0;
  }

 private:
  static std::string to_message(const Outcome& outcome) {
    static_assert(std::is_trivially_copyable_v<Counts>);
    return std::string(reinterpret_cast<const char*>(&outcome.counts), sizeof outcome.counts) + outcome.problem;
  }
  static Outcome from_message(const std::string& message) {
    Outcome outcome;
    if (message.size() < sizeof outcome.counts) return {.problem = "what it told is cut off"};
    std::memcpy(&outcome.counts, message.data(), sizeof outcome.counts);
    outcome.problem = message.substr(sizeof outcome.counts);
    return outcome;
  }

  // What is logged is logged in silent runs too: that takes locks, and whoever takes a
  // lock may lose his turn.
  static Outcome run_one(const Plan& plan, Trace::Talk talk, const std::filesystem::path& output = {}) {
    const std::filesystem::path errors = talk == Trace::Talk::silent ? "/dev/null" : output;
    const Ended ended = run_apart({kLongest, output, errors}, [&](const auto& end) {
      Trace trace(talk);
      Outcome outcome;
      {
        typename Simulation::World world(
            plan, trace, [&](const std::string& problem) { end(to_message({.problem = problem})); });
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

  void tell_problem(const Plan& plan, const std::string& problem) const {
    fmt::print("seed {}: {}\n{}\n", plan.seed, to_text(plan), problem);
    if (!options_.traces.empty()) {
      std::error_code ignored;
      std::filesystem::create_directories(options_.traces, ignored);
      const auto path = options_.traces / fmt::format("{}-seed-{}.txt", Simulation::kProgram, plan.seed);
      std::filesystem::remove(path, ignored);
      run_one(plan, Trace::Talk::aloud, path);
      fmt::print("What happened stands in {}\n", path.string());
    }
    fmt::print("Again: {} --seed {} --verbose{}\n\n", Simulation::kProgram, plan.seed, simulation_.again());
    std::fflush(stdout);
  }

  const SeedOptions& options_;
  const Simulation& simulation_;
};

}  // namespace dfs::sim
