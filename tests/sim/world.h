// A server, mounts and programs in one process, and whoever decides what happens
// next: with seeded dice it lets a program take its next step, a message travel, a
// stream break, time pass, the server die. After each it waits until nothing moves
// by itself any more.
//
// Messages and faults come in the order that the seed says. Engines have threads of
// their own, so a run is not repeated bit by bit, only very nearly.
//
// Threads: one.
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
#include "tests/sim/trace.h"
#include "tests/support/fake_storage_pool.h"

namespace dfs::sim {

struct Outcome {
  std::string problem;  // empty: one order of events explains everything
  std::size_t operations = 0;
  std::size_t events = 0;
  std::size_t sessions_replaced = 0;
};

class World {
 public:
  // `trace` must outlive it.
  World(const Plan& plan, Trace& trace);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // Once. If nothing goes on any more, `stuck` hears of it and the process ends with
  // 1: its threads can not be got rid of.
  Outcome run(const std::function<void(const std::string& problem)>& stuck);

 private:
  struct Mount {
    Mount(const Plan& plan, const Clock& clock, Activity& activity, std::size_t number);

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
  void thaw(bool all);
  void settle() const;
  std::uint64_t weight_of(const Network::Choice& choice, std::size_t session) const;
  [[noreturn]] void give_up();

  const Plan plan_;
  Trace& trace_;
  Dice dice_;
  std::function<void(const std::string&)> stuck_;
  FakeClock clock_;
  Activity activity_;
  Recorder recorder_;
  FakeStoragePool storage_;
  Server server_;
  std::vector<std::unique_ptr<Mount>> mounts_;
  std::unique_ptr<Network> network_;
  std::vector<std::uint64_t> paces_;
  std::vector<SteadyTime> frozen_until_;
  SteadyTime next_tick_{};
  Shared shared_;
  std::vector<std::unique_ptr<Program>> programs_;
  std::size_t events_ = 0;
};

}  // namespace dfs::sim
