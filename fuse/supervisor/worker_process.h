// The process that serves the mount: this program once more, with the same words on
// its command line, as a child of its supervisor.
//
// It does not outlive the supervisor, and signals from the terminal do not reach it.
// Threads: one, in a process that has no other.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <sys/types.h>

#include "common/base/result.h"
#include "fuse/supervisor/worker_link.h"

namespace dfs::fuse {

// How to start this program again, as it was started.
struct Invocation {
  std::filesystem::path program;  // where it is on disk: an upgrade puts another one there
  std::vector<std::string> argv;
  std::filesystem::path working_directory;

  static Result<Invocation> of_this_process(int argc, char** argv);
};

class WorkerProcess {
 public:
  // `memory`: of the mount, handed on.
  static Result<WorkerProcess> start(const Invocation& invocation,
                                     const std::filesystem::path& directory, int memory);

  WorkerLink& link() { return link_; }
  void signal(int number) const;

  struct End {
    bool by_signal = false;
    int number = 0;  // the signal, or the status
  };
  // Empty: it runs. Does not wait.
  std::optional<End> ended() const;

 private:
  WorkerProcess(pid_t process, WorkerLink link) : process_(process), link_(std::move(link)) {}

  pid_t process_;
  WorkerLink link_;
};

}  // namespace dfs::fuse
