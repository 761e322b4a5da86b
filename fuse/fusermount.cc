#include "fuse/fusermount.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <spawn.h>
#include <string_view>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

extern char** environ;

namespace dfs::fuse {
namespace {

constexpr const char* kProgram = "fusermount3";
constexpr std::size_t kMessageBytesMax = 4096;

struct Pair {
  UniqueFd ours;
  UniqueFd theirs;
};

Result<Pair> make_socket_pair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return fail_errno(errno, "socketpair");
  }
  return Pair{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

Result<Pair> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  return Pair{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

std::string read_all(int fd) {
  std::string text;
  std::array<char, 512> part;
  for (;;) {
    const ssize_t bytes = ::read(fd, part.data(), part.size());
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes <= 0) break;
    if (text.size() < kMessageBytesMax) text.append(part.data(), static_cast<std::size_t>(bytes));
  }
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

// Runs the helper to its end. Its standard error becomes the error's text;
// `channel`, if there is one, is its _FUSE_COMMFD.
Result<void> run(const std::vector<std::string>& arguments, UniqueFd channel) {
  Pair messages = TRY(make_pipe());

  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const std::string variable = "_FUSE_COMMFD=3";
  std::vector<char*> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (std::string_view(*entry).rfind("_FUSE_COMMFD=", 0) != 0) environment.push_back(*entry);
  }
  if (channel) environment.push_back(const_cast<char*>(variable.c_str()));
  environment.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, messages.theirs.get(), STDERR_FILENO);
  if (channel) posix_spawn_file_actions_adddup2(&actions, channel.get(), 3);
  pid_t child = 0;
  const int failed =
      ::posix_spawnp(&child, kProgram, &actions, nullptr, argv.data(), environment.data());
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return fail_errno(failed, kProgram);

  messages.theirs = UniqueFd();
  channel = UniqueFd();
  const std::string said = read_all(messages.ours.get());
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return fail(Errc::not_permitted, said.empty() ? std::string(kProgram) + " failed" : said);
}

Result<UniqueFd> receive_descriptor(int socket) {
  char byte = 0;
  iovec part{&byte, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t bytes;
  do {
    bytes = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (bytes < 0 && errno == EINTR);
  if (bytes < 0) return fail_errno(errno, "recvmsg");
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (bytes == 0 || header == nullptr || header->cmsg_type != SCM_RIGHTS ||
      header->cmsg_len != CMSG_LEN(sizeof(int))) {
    return fail(Errc::io, std::string(kProgram) + " handed over no connection");
  }
  int fd;
  std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return UniqueFd(fd);
}

}  // namespace

Result<UniqueFd> fusermount(const std::filesystem::path& directory, const std::string& options) {
  Pair channel = TRY(make_socket_pair());
  TRY(run({kProgram, "-o", options, "--", directory.native()}, std::move(channel.theirs)));
  UniqueFd device = TRY(receive_descriptor(channel.ours.get()));
  return device;
}

Result<void> fuserumount(const std::filesystem::path& directory, Unmount how) {
  std::vector<std::string> arguments{kProgram, "-u", "-q"};
  if (how == Unmount::when_unused) arguments.push_back("-z");
  arguments.push_back("--");
  arguments.push_back(directory.native());
  return run(arguments, UniqueFd());
}

}  // namespace dfs::fuse
