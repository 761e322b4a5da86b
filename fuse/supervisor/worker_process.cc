#include "fuse/supervisor/worker_process.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <string_view>
#include <sys/stat.h>
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

[[noreturn]] void become_worker(const Invocation& invocation, const Program& program,
                                const std::filesystem::path& directory, int link, int memory) {
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
  program.become(invocation.argv);
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

Result<Program> Program::open(const std::filesystem::path& path) {
  const UniqueFd opened(::open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!opened) return fail_errno(errno, "open " + path.native());
  UniqueFd file(::fcntl(opened.get(), F_DUPFD_CLOEXEC, kOutOfTheWay));
  if (!file) return fail_errno(errno, "open " + path.native());
  if (::faccessat(file.get(), "", X_OK, AT_EMPTY_PATH) != 0)
    return fail_errno(errno, path.native() + " cannot be run");
  return Program(path, std::move(file));
}

bool Program::is_still_there() const {
  struct stat named {};
  struct stat held {};
  return ::stat(path_.c_str(), &named) == 0 && ::fstat(file_.get(), &held) == 0 &&
         named.st_dev == held.st_dev && named.st_ino == held.st_ino;
}

void Program::become(const std::vector<std::string>& argv) const {
  std::vector<char*> words;
  for (const std::string& word : argv) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  // By its path while that is the same: `ps` calls a program after how it was named.
  if (is_still_there())
    ::execv(path_.c_str(), words.data());
  else
    ::execveat(file_.get(), "", words.data(), environ, AT_EMPTY_PATH);
}

Result<WorkerProcess> WorkerProcess::start(const Invocation& invocation, const Program& program,
                                           const std::filesystem::path& directory, int memory) {
  WorkerLink::Ends ends = TRY(WorkerLink::make());
  const pid_t child = ::fork();
  if (child < 0) return fail_errno(errno, "fork");
  if (child == 0)
    become_worker(invocation, program, directory, ends.worker.descriptor(), memory);
  return WorkerProcess(child, std::move(ends.supervisor));
}

void WorkerProcess::signal(int number) const { ::kill(process_, number); }

namespace {

// The state in a stat file below /proc; 'X': there is none.
char state_in(const std::filesystem::path& directory) {
  std::ifstream file(directory / "stat");
  std::string line;
  std::getline(file, line);
  const std::size_t name_end = line.rfind(')');
  return name_end == std::string::npos || name_end + 2 >= line.size() ? 'X' : line[name_end + 2];
}

}  // namespace

bool WorkerProcess::is_stuck_dead() const {
  const auto directory = std::filesystem::path("/proc") / std::to_string(process_);
  if (state_in(directory) != 'Z') return false;
  std::error_code error;
  std::size_t waiting = 0;
  for (const auto& thread : std::filesystem::directory_iterator(directory / "task", error)) {
    const char state = state_in(thread.path());
    if (state == 'D') ++waiting;
    if (state != 'D' && state != 'Z' && state != 'X') return false;
  }
  return !error && waiting > 0;
}

std::optional<WorkerProcess::End> WorkerProcess::ended() const {
  int status = 0;
  if (::waitpid(process_, &status, WNOHANG) != process_) return std::nullopt;
  if (WIFSIGNALED(status)) return End{true, WTERMSIG(status)};
  return End{false, WEXITSTATUS(status)};
}

}  // namespace dfs::fuse
