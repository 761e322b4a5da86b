// The process that serves the mount: this program once more, with the same words on
// its command line, as a child of its supervisor.
//
// If the supervisor is killed it serves on, as a mount of one process. Signals from the
// terminal do not reach it.
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
  std::filesystem::path program;  // where it is on disk
  std::vector<std::string> argv;
  std::filesystem::path working_directory;

  static Result<Invocation> of_this_process(int argc, char** argv);
};

// A program on disk, which stays what it is when another one takes its place there.
class Program {
 public:
  // What is at `path` now.
  static Result<Program> open(const std::filesystem::path& path);

  // In a child, instead of returning to it: returns only if that fails.
  void become(const std::vector<std::string>& argv) const;

 private:
  Program(std::filesystem::path path, UniqueFd file) : path_(std::move(path)), file_(std::move(file)) {}
  bool is_still_there() const;

  std::filesystem::path path_;
  UniqueFd file_;
};

class WorkerProcess {
 public:
  // `memory`: of the mount, handed on.
  static Result<WorkerProcess> start(const Invocation& invocation, const Program& program,
                                     const std::filesystem::path& directory, int memory);

  WorkerLink& link() { return link_; }
  void signal(int number) const;

  struct End {
    bool by_signal = false;
    int number = 0;  // the signal, or the status
  };
  // Empty: it runs. Does not wait.
  std::optional<End> ended() const;
  // It was killed and runs no more, but a thread of it waits in the kernel for something
  // that only the next worker can bring about: a notification for the lock of a page
  // that a request has. Its descriptors stay open until then.
  bool is_stuck_dead() const;
  pid_t process() const { return process_; }

 private:
  WorkerProcess(pid_t process, WorkerLink link) : process_(process), link_(std::move(link)) {}

  pid_t process_;
  WorkerLink link_;
};

}  // namespace dfs::fuse
