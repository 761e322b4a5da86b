#include "tests/sim/apart.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include <fmt/format.h>

#include "common/base/result.h"
#include "common/base/unique_fd.h"

namespace dfs::sim {
namespace {

// Handing the turn from one CPU to another costs ten times as much, and whoever hands
// it over sleeps at once: nobody need come in before.
void make_turns_cheap() {
  const sched_param none{};
  static_cast<void>(::sched_setscheduler(0, SCHED_BATCH, &none));
  const int cpu = ::sched_getcpu();
  if (cpu < 0) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<std::size_t>(cpu), &set);
  static_cast<void>(::sched_setaffinity(0, sizeof set, &set));
}

void lead(int stream, const std::filesystem::path& path) {
  if (path.empty()) return;
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  invariant(file.get() >= 0, "the file for what it writes can be made");
  invariant(::dup2(file.get(), stream) == stream, "its output can be led elsewhere");
}

[[noreturn]] void do_it(const Surrounds& surrounds, const WorkApart& work, int pipe) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::alarm(static_cast<unsigned>(surrounds.longest.count()));
  lead(STDOUT_FILENO, surrounds.output);
  lead(STDERR_FILENO, surrounds.errors);
  make_turns_cheap();
  work([pipe](const std::string& told) {
    std::fflush(nullptr);
    for (std::size_t done = 0; done < told.size();) {
      const ssize_t some = ::write(pipe, told.data() + done, told.size() - done);
      if (some <= 0) std::_Exit(1);
      done += static_cast<std::size_t>(some);
    }
    std::_Exit(0);
  });
  std::_Exit(1);
}

std::string read_all(int pipe) {
  std::string all;
  std::array<char, 4096> some{};
  for (;;) {
    const ssize_t count = ::read(pipe, some.data(), some.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return all;
    all.append(some.data(), static_cast<std::size_t>(count));
  }
}

}  // namespace

Ended run_apart(const Surrounds& surrounds, const WorkApart& work) {
  int ends[2];
  invariant(::pipe2(ends, O_CLOEXEC) == 0, "there is room for a pipe");
  UniqueFd reading(ends[0]);
  UniqueFd writing(ends[1]);
  std::fflush(nullptr);
  const pid_t child = ::fork();
  invariant(child >= 0, "there is room for a process");
  if (child == 0) do_it(surrounds, work, writing.get());
  writing = UniqueFd();

  Ended ended;
  std::string told = read_all(reading.get());
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) ended.told = std::move(told);
  else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
    ended.how = fmt::format("after {} s, for it was not at its end", surrounds.longest.count());
  else if (WIFSIGNALED(status)) ended.how = fmt::format("by signal {}", WTERMSIG(status));
  else ended.how = fmt::format("with {}", WEXITSTATUS(status));
  return ended;
}

}  // namespace dfs::sim
