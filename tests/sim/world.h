// A server, mounts and programs in one process, and whoever decides what happens
// next: with seeded dice it lets a program take its next step, a message travel, a
// stream break, time pass, the server die. Between two of these the threads of engines
// and programs go on (scheduler.h) until nothing moves by itself any more, or, in a hurry,
// not quite so long. Time passes only when nothing moves.
//
// All of it follows from the seed: a run repeats itself exactly.
//
// Threads: one, the director of the scheduler.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/client/file_system.h"
#include "tests/sim/network.h"
#include "tests/sim/plan.h"
#include "tests/sim/program.h"
#include "tests/sim/random_steps.h"
#include "tests/sim/recorder.h"
#include "tests/sim/scheduler.h"
#include "tests/sim/trace.h"
#include "tests/support/fake_storage_pool.h"

namespace dfs::sim {

struct Counts {
  std::size_t operations = 0;
  std::size_t events = 0;
  std::size_t sessions_replaced = 0;

  Counts& operator+=(const Counts& more) {
    operations += more.operations;
    events += more.events;
    sessions_replaced += more.sessions_replaced;
    return *this;
  }
};

struct Outcome {
  Counts counts;
  std::string problem;  // empty: one order of events explains everything
};

class World {
 public:
  // If nothing goes on any more, `stuck` hears of it and the process ends with 1: its
  // threads can not be got rid of. `trace` must outlive the world.
  World(const Plan& plan, Trace& trace, std::function<void(const std::string& problem)> stuck);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // Once.
  Outcome run();

 private:
  struct Mount {
    Mount(const Plan& plan, const Clock& clock, std::size_t number);

    Session session;
    std::unique_ptr<FileSystem> files;
    std::shared_ptr<Kernel> kernel;
  };
  enum class Mood { calm, as_planned };
  struct Work {
    std::size_t steps;
    std::function<void(std::size_t)> step;
  };

  void start_mounts();
  void mount(Mount& mount);
  // Lets all work to its end.
  void work(std::vector<Work> all, Mood mood);
  void pump(const std::function<bool()>& done, Mood mood);
  bool take_one_event();
  void go_wrong();
  void let_time_pass();
  void wait_for_timers();
  void pass(Scheduler::Time time);
  Scheduler::Time next_due() const;
  void keep_house();
  void thaw(bool all);
  std::uint64_t weight_of(const Network::Choice& choice, std::size_t session) const;
  [[noreturn]] void give_up();

  const Plan plan_;
  const std::function<void(const std::string&)> stuck_;
  Scheduler scheduler_;  // the rest comes and goes under it
  Clock& clock_ = SystemClock::instance();
  Trace& trace_;
  Dice dice_;
  Recorder recorder_;
  FakeStoragePool storage_;
  Server server_;
  std::vector<std::unique_ptr<Mount>> mounts_;
  std::unique_ptr<Network> network_;
  std::vector<std::uint64_t> paces_;
  std::vector<Scheduler::Time> frozen_until_;
  Scheduler::Time next_tick_{};
  Scheduler::Time idle_since_{};
  Shared shared_;
  std::vector<std::unique_ptr<Program>> programs_;
  std::size_t events_ = 0;
};

}  // namespace dfs::sim
