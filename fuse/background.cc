#include "fuse/background.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <string_view>
#include <sys/wait.h>
#include <unistd.h>

namespace dfs::fuse {
namespace {

constexpr std::string_view kReady = "ready\n";

std::string read_report(int fd) {
  std::string report;
  std::array<char, 1024> part;
  for (;;) {
    const ssize_t bytes = ::read(fd, part.data(), part.size());
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes <= 0) return report;
    report.append(part.data(), static_cast<std::size_t>(bytes));
  }
}

[[noreturn]] void wait_for(pid_t child, UniqueFd report) {
  const std::string said = read_report(report.get());
  if (said == kReady) ::_exit(EXIT_SUCCESS);
  if (!said.empty()) {
    std::fputs(said.c_str(), stderr);
    ::_exit(EXIT_FAILURE);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  std::fprintf(stderr, "dfs-mount: ended unexpectedly (%s %d)\n",
               WIFSIGNALED(status) ? "signal" : "status",
               WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
  ::_exit(EXIT_FAILURE);
}

Result<void> write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t bytes = ::write(fd, text.data(), text.size());
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < 0) return fail_errno(errno, "telling the program that waits");
    text.remove_prefix(static_cast<std::size_t>(bytes));
  }
  return {};
}

}  // namespace

Result<Background> Background::enter() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  UniqueFd ours(ends[0]);
  UniqueFd childs(ends[1]);
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child < 0) return fail_errno(errno, "fork");
  if (child > 0) {
    childs = UniqueFd();
    wait_for(child, std::move(ours));
  }
  if (::setsid() < 0) return fail_errno(errno, "setsid");
  return Background(std::move(childs));
}

Result<void> leave_terminal() {
  UniqueFd nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!nothing) return fail_errno(errno, "/dev/null");
  if (::chdir("/") != 0) return fail_errno(errno, "chdir /");
  for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::dup2(nothing.get(), standard) < 0) return fail_errno(errno, "dup2");
  }
  return {};
}

Result<void> Background::succeeded() {
  TRY(leave_terminal());
  TRY(write_all(report_.get(), kReady));
  report_ = UniqueFd();
  return {};
}

void Background::failed(const std::string& line) {
  // If nobody waits any more, nobody needs to know.
  (void)write_all(report_.get(), line + "\n");
  report_ = UniqueFd();
}

}  // namespace dfs::fuse
