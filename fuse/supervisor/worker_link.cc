#include "fuse/supervisor/worker_link.h"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

namespace dfs::fuse {
namespace {

constexpr std::size_t kTextMax = 4000;

}  // namespace

Result<WorkerLink::Ends> WorkerLink::make() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return fail_errno(errno, "socketpair");
  }
  return Ends{WorkerLink(UniqueFd(ends[0])), WorkerLink(UniqueFd(ends[1]))};
}

Result<void> WorkerLink::send(WorkerWord word, const std::string& text, int descriptor) {
  std::string content = text.substr(0, kTextMax);
  char first = static_cast<char>(word);
  std::array<iovec, 2> parts{iovec{&first, 1}, iovec{content.data(), content.size()}};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  if (descriptor >= 0) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
  }
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return fail_errno(errno, "sendmsg");
  return {};
}

Result<std::optional<WorkerMessage>> WorkerLink::receive() {
  std::array<char, kTextMax + 1> content;
  iovec part{content.data(), content.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t bytes = 0;
  do {
    bytes = ::recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
  } while (bytes < 0 && errno == EINTR);
  if (bytes < 0 && errno != ECONNRESET) return fail_errno(errno, "recvmsg");
  if (bytes <= 0) return std::optional<WorkerMessage>{};

  WorkerMessage received;
  received.word = static_cast<WorkerWord>(content[0]);
  received.text.assign(content.data() + 1, static_cast<std::size_t>(bytes) - 1);
  const cmsghdr* const header = CMSG_FIRSTHDR(&message);
  if (header != nullptr && header->cmsg_type == SCM_RIGHTS &&
      header->cmsg_len == CMSG_LEN(sizeof(int))) {
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
    received.descriptor = UniqueFd(fd);
  }
  return std::optional(std::move(received));
}

std::optional<WorkerPapers> WorkerPapers::take() {
  const char* const directory = ::getenv(kVariable);
  if (directory == nullptr) return std::nullopt;
  WorkerPapers papers{UniqueFd(kLink), UniqueFd(kMemory), directory};
  for (const int fd : {kLink, kMemory}) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  ::unsetenv(kVariable);
  return papers;
}

}  // namespace dfs::fuse
