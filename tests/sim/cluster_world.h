// A whole cluster in one process: a metadata server, storage servers with their disks,
// mounts and programs, and whoever draws what happens next (see world.h): also which
// machine dies, which disk fails and which byte changes on it.
//
// When the programs have done their steps, faults end and a new mount reads everything.
// Then time passes until each copy of each chunk that files use is good, and another
// new mount reads everything.
//
// Threads: one, the director of the scheduler.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/client/file_system.h"
#include "tests/sim/cluster_plan.h"
#include "tests/sim/far_servers.h"
#include "tests/sim/file_book.h"
#include "tests/sim/file_steps.h"
#include "tests/sim/network.h"
#include "tests/sim/program.h"
#include "tests/sim/scheduler.h"
#include "tests/sim/storage_node.h"
#include "tests/sim/trace.h"
#include "tests/sim/wires.h"

namespace dfs::sim {

struct ClusterCounts {
  std::size_t events = 0;
  std::size_t deaths = 0;
  std::size_t cuts = 0;
  std::size_t damaged = 0;
  std::size_t disks = 0;

  ClusterCounts& operator+=(const ClusterCounts& more) {
    events += more.events;
    deaths += more.deaths;
    cuts += more.cuts;
    damaged += more.damaged;
    disks += more.disks;
    return *this;
  }
};

struct ClusterOutcome {
  ClusterCounts counts;
  std::string problem;  // empty: everything that was made safe is there, and nothing else was ever read
};

class ClusterWorld final : public StorageDoors {
 public:
  // As World's.
  ClusterWorld(const ClusterPlan& plan, Trace& trace, std::function<void(const std::string& problem)> stuck);
  ~ClusterWorld() override;

  // Once.
  ClusterOutcome run();

  std::optional<Place> find(ServerId server) const override;

 private:
  struct Mount;
  enum class Mood { calm, as_planned };
  struct Work {
    std::size_t steps;
    std::function<void(std::size_t)> step;
  };
  using Time = Scheduler::Time;

  void start_servers();
  Mount& add_mount();
  void begin(Mount& mount, const std::string& name);
  std::string live();
  std::string heal();
  std::string read_everything(Mount& mount, FileSteps::Expect expect);
  // What some file lacks; empty: each member of its chunks' groups has a good copy.
  std::string lacking(Mount& mount) const;
  std::string lacking(Mount& mount, const GroupTable& table, InodeId inode) const;

  void work(std::vector<Work> all, Mood mood);
  void pump(const std::function<bool()>& done, Mood mood);
  bool take_one_event();
  void pass(Time time);
  void keep_house();
  Time next_due() const;
  [[noreturn]] void give_up();

  // What goes wrong, each for a while: cluster_faults.cc.
  void go_wrong();
  std::size_t faults() const;
  void kill_node(std::size_t victim, Death death);
  void start_node(std::size_t number);
  void kill_meta(Death death);
  void black_out();
  void kill_mount();
  void cut_a_way();
  void damage_a_byte();
  bool is_safe_elsewhere(ChunkId chunk, std::size_t except) const;
  void trouble_a_disk();
  void look_after_disks();
  void later(std::chrono::milliseconds most, std::function<void()> what);
  void bury();
  Death any_death();
  void end_all_faults();

  const ClusterPlan plan_;
  const std::function<void(const std::string&)> stuck_;
  Scheduler scheduler_;  // the rest comes and goes under it
  Clock& clock_ = SystemClock::instance();
  Trace& trace_;
  Dice dice_;
  Wires wires_;
  Server server_;
  const Wires::End meta_;
  std::vector<std::unique_ptr<StorageNode>> nodes_;
  FileBook book_;
  std::vector<std::unique_ptr<Mount>> mounts_;
  std::unique_ptr<Network> network_;
  std::multimap<Time, std::function<void()>> later_;
  std::set<std::size_t> looked_after_;  // nodes whose store has failed
  Time next_tick_{};
  Time idle_since_{};
  std::vector<std::unique_ptr<FileSteps>> steps_;
  std::vector<std::unique_ptr<Program>> programs_;
  ClusterCounts counts_;
};

// One engine after another on one machine.
struct ClusterWorld::Mount {
  Desk desk;
  std::unique_ptr<Session> session;
  std::size_t place = 0;  // of the session in the network
  Wires::End end = 0;
  std::unique_ptr<FarStorage> storage;
  std::unique_ptr<FileSystem> files;
  std::vector<FileSteps*> steps;
  std::vector<Program*> programs;
  bool dying = false;    // until its next life has begun
  bool begins = false;
  std::size_t lives = 0;
};

}  // namespace dfs::sim
