// Processes that outlive the command that started them.
//
// A pid is reused sooner or later. A process is therefore remembered with the
// moment it started and the machine's boot id; a process that only has the
// same number is never signalled.
//
// Threads: one.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/result.h"
#include "common/base/unique_fd.h"

namespace dfs::cli {

struct ProcessIdentity {
  pid_t pid = 0;                  // 0: never started
  std::uint64_t start_ticks = 0;  // field 22 of /proc/PID/stat
  std::string boot;               // kernel's boot id

  friend bool operator==(const ProcessIdentity&, const ProcessIdentity&) = default;
};

// False for a zombie: it does nothing any more.
bool is_alive(const ProcessIdentity& process);

// Those that it has started and that run.
std::vector<ProcessIdentity> children_of(const ProcessIdentity& process);

// Sends `signal` and waits until the process is gone. Success if it was gone before.
//   timed_out      still there
//   not_permitted  it is somebody else's
Result<void> signal_and_wait(const ProcessIdentity& process, int signal,
                             std::chrono::milliseconds limit);

struct LaunchArgs {
  std::vector<std::string> argv;       // argv[0] is the program's path
  std::filesystem::path output_file;   // gets stdout and stderr; emptied first
};

// A process started in a session of its own, about to say that it is ready.
class Launched {
 public:
  // Appends "--ready-fd N" to the command line.
  //   not_found etc.  the program could not be executed
  static Result<Launched> start(const LaunchArgs& args);

  const ProcessIdentity& process() const { return process_; }
  // Returns once it has written "ready" to its descriptor.
  //   unavailable  it ended instead; the text says how
  //   timed_out    nothing by `deadline`
  Result<void> wait_ready(SteadyTime deadline);

 private:
  Launched(ProcessIdentity process, UniqueFd ready)
      : process_(std::move(process)), ready_(std::move(ready)) {}
  std::string how_it_ended() const;

  ProcessIdentity process_;
  UniqueFd ready_;
};

// The last lines of a text file, at most `lines_max`; empty if there is none.
std::vector<std::string> last_lines(const std::filesystem::path& file, std::size_t lines_max);

// As a shell would have to read it.
std::string shell_quoted(const std::vector<std::string>& argv);

}  // namespace dfs::cli
