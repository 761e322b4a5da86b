#include "fuse/supervisor/worker_process.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <string_view>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace dfs::fuse {
namespace {

constexpr int kCannotStart = 127;
// Above those that the worker finds its papers at.
constexpr int kOutOfTheWay = 10;

// In the child. What is at `from` is at `to`, and stays there in the new program.
bool place(int from, int to) {
  const int aside = ::fcntl(from, F_DUPFD, kOutOfTheWay);
  return aside >= 0 && ::dup2(aside, to) == to && ::close(aside) == 0;
}

[[noreturn]] void become_worker(const Invocation& invocation,
                                const std::filesystem::path& directory, int link, int memory,
                                pid_t supervisor) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != supervisor) ::_exit(kCannotStart);
  ::setpgid(0, 0);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  // Gone meanwhile? Then what was named relative to it will not be found either.
  (void)!::chdir(invocation.working_directory.c_str());
  ::setenv(WorkerPapers::kVariable, directory.c_str(), 1);

  const int aside = ::fcntl(memory, F_DUPFD, kOutOfTheWay);
  if (aside < 0 || !place(link, WorkerPapers::kLink) || !place(aside, WorkerPapers::kMemory))
    ::_exit(kCannotStart);
  ::close(aside);
  std::vector<char*> words;
  for (const std::string& word : invocation.argv) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  ::execv(invocation.program.c_str(), words.data());
  ::_exit(kCannotStart);
}

}  // namespace

Result<Invocation> Invocation::of_this_process(int argc, char** argv) {
  std::error_code error;
  Invocation invocation;
  invocation.program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return fail_errno(error.value(), "/proc/self/exe");
  invocation.working_directory = std::filesystem::current_path(error);
  if (error) invocation.working_directory = "/";
  invocation.argv.assign(argv, argv + argc);
  return invocation;
}

Result<WorkerProcess> WorkerProcess::start(const Invocation& invocation,
                                           const std::filesystem::path& directory, int memory) {
  WorkerLink::Ends ends = TRY(WorkerLink::make());
  const pid_t supervisor = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) return fail_errno(errno, "fork");
  if (child == 0)
    become_worker(invocation, directory, ends.worker.descriptor(), memory, supervisor);
  return WorkerProcess(child, std::move(ends.supervisor));
}

void WorkerProcess::signal(int number) const { ::kill(process_, number); }

std::optional<WorkerProcess::End> WorkerProcess::ended() const {
  int status = 0;
  if (::waitpid(process_, &status, WNOHANG) != process_) return std::nullopt;
  if (WIFSIGNALED(status)) return End{true, WTERMSIG(status)};
  return End{false, WEXITSTATUS(status)};
}

}  // namespace dfs::fuse
