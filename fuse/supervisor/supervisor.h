// Keeps a mount alive: holds the connection to the kernel and the memory of the
// mount, and starts another worker when one is killed. It does nothing else, so that
// there is little that could end it: no thread, no library that starts one, no
// request of the kernel.
//
// The first worker asks for the mount once it has found the servers, so that a
// mistake leaves nothing mounted. Signals that ask for the end are passed on; the
// worker writes back and unmounts, and its status is ours. A worker that is ended by
// a signal is replaced; one that lives only for a moment, again and again, is given up.
//
// Whoever goes on is of the program that the mount was begun with, also when another
// one has taken its place on disk, until somebody asks for the upgrade (mounts/
// mount_control.h). Then the worker is killed, and one of the new program goes on; if
// that cannot, one of the former does.
//
// Threads: one; no other may have been started.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <vector>

#include <sys/types.h>

#include "common/base/clock.h"
#include "common/base/lasting_memory.h"
#include "common/base/result.h"
#include "fuse/mount_point.h"
#include "fuse/mounts/mount_control.h"
#include "fuse/supervisor/worker_process.h"

namespace dfs::fuse {

// Pure: how long to wait before a worker is replaced.
class Replacement {
 public:
  // A worker that lived for so long was well.
  static constexpr std::chrono::seconds kWell{1};
  static constexpr unsigned kInARowMax = 10;

  // One that is killed while it serves has done nothing wrong, and one that is killed
  // before may have: another one follows, but later and later.
  enum class Cause { killed, killed_early, crashed };
  // It died after `life`. Empty: there is no point in another one.
  std::optional<std::chrono::milliseconds> pause_after(SteadyTime::duration life, Cause cause);

 private:
  unsigned in_a_row_ = 0;
};

class Supervisor {
 public:
  struct Parts {
    Invocation invocation;
    std::filesystem::path directory;
    std::function<Result<MountPoint>()> mount;
    // The mount answers; called once.
    std::function<Result<void>()> succeeded;
  };

  // Before any other process or thread of ours is started.
  static Result<Supervisor> create(Parts parts);

  // Until the mount is over. The status to end with; an error: it did not come up,
  // and is not mounted.
  Result<int> run();

 private:
  Supervisor(Parts parts, Program program, LastingMemory memory, UniqueFd signals)
      : parts_(std::move(parts)), program_(std::move(program)), memory_(std::move(memory)),
        signals_(std::move(signals)) {}

  Result<void> start_worker();
  void wait();
  void take_signals();
  Result<void> take_message();
  Result<void> take_last_words();
  Result<void> hand_over_device();
  Result<void> tell_worker(WorkerWord word, const std::string& text, int descriptor = -1);
  void let_programs_ask();
  Result<void> take_ready(const WorkerMessage& message);
  void answer_asker();
  Result<void> upgrade();
  Result<void> go_back(const WorkerProcess::End& end);
  // Empty: another worker goes on.
  // How the worker ended, if it has.
  std::optional<WorkerProcess::End> find_end();
  void reap_former();
  std::optional<int> give_up();
  Result<std::optional<int>> take_end(const WorkerProcess::End& end);
  Result<std::optional<int>> replace(const WorkerProcess::End& end);

  Parts parts_;
  Program program_;
  std::optional<Program> former_program_;  // while an upgrade is under way
  LastingMemory memory_;
  UniqueFd signals_;
  std::optional<MountPoint> point_;
  std::optional<MountControl> control_;
  UniqueFd device_;
  std::optional<WorkerProcess> worker_;
  std::vector<pid_t> former_;  // that a thread keeps from being gone
  bool link_is_open_ = false;
  Replacement replacement_;
  SteadyTime started_;
  bool serves_ = false;      // this worker
  bool has_served_ = false;  // any
  bool can_be_replaced_ = false;
  std::optional<Error> failure_;  // what the worker said
  std::optional<int> asked_to_end_;  // by this signal
};

}  // namespace dfs::fuse
