#include "fuse/mounts/mount_control.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

namespace dfs::fuse {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kWordMax = 64;
constexpr std::size_t kTextMax = 4000;
constexpr int kWaitingMax = 4;

struct Address {
  sockaddr_un name{};
  socklen_t length = 0;
};

// In the abstract namespace: the name begins with a zero.
Address address_of(const std::string& device) {
  Address address;
  address.name.sun_family = AF_UNIX;
  const std::string text = "dfs-mount " + device.substr(0, kWordMax);
  std::memcpy(address.name.sun_path + 1, text.data(), text.size());
  address.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + text.size());
  return address;
}

bool may_ask(int socket) {
  ucred asker{};
  socklen_t length = sizeof asker;
  return ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &asker, &length) == 0 &&
         (asker.uid == 0 || asker.uid == ::geteuid());
}

// One message; empty: the other end is gone, or there is none.
std::string receive(int socket) {
  std::string text(kTextMax + 1, '\0');
  const ssize_t bytes = ::recv(socket, text.data(), text.size(), MSG_DONTWAIT);
  text.resize(bytes > 0 ? static_cast<std::size_t>(bytes) : 0);
  return text;
}

}  // namespace

Result<std::string> ask_mount(const std::string& device, const std::string& word,
                              milliseconds patience) {
  const UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!socket) return fail_errno(errno, "socket");
  const Address address = address_of(device);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address.name), address.length) != 0)
    return fail(Errc::not_found, "no supervisor answers for it: it is mounted with `unsupervised`, "
                                 "or from another network namespace");
  if (::send(socket.get(), word.data(), word.size(), MSG_NOSIGNAL) < 0)
    return fail_errno(errno, "ask the supervisor");
  pollfd answer{socket.get(), POLLIN, 0};
  if (::poll(&answer, 1, static_cast<int>(patience.count())) <= 0)
    return fail(Errc::io, fmt::format("its supervisor has not answered for {} s; its log says more",
                                      patience.count() / 1000));
  const std::string text = receive(socket.get());
  if (text.empty()) return fail(Errc::io, "its supervisor does not listen to this user");
  if (text[0] == '+') return text.substr(1);
  return fail(Errc::io, text.substr(1));
}

Result<MountControl> MountControl::open(const std::string& device) {
  UniqueFd door(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!door) return fail_errno(errno, "socket");
  const Address address = address_of(device);
  if (::bind(door.get(), reinterpret_cast<const sockaddr*>(&address.name), address.length) != 0)
    return fail_errno(errno, "bind the socket of mount " + device);
  if (::listen(door.get(), kWaitingMax) != 0) return fail_errno(errno, "listen");
  return MountControl(std::move(door));
}

std::array<int, 2> MountControl::descriptors() const {
  if (has_asked_) return {-1, -1};
  return {door_.get(), asker_ ? asker_.get() : -1};
}

void MountControl::let_in() {
  UniqueFd asker(::accept4(door_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!asker || !may_ask(asker.get())) return;
  asker_ = std::move(asker);
}

std::optional<std::string> MountControl::take() {
  if (has_asked_) return std::nullopt;
  let_in();
  if (!asker_) return std::nullopt;
  std::string word = receive(asker_.get());
  if (word.empty()) {
    pollfd state{asker_.get(), 0, 0};
    if (::poll(&state, 1, 0) > 0) asker_ = UniqueFd();  // it went away
    return std::nullopt;
  }
  has_asked_ = true;
  return word;
}

void MountControl::answer(const Result<std::string>& outcome) {
  if (!std::exchange(has_asked_, false)) return;
  std::string text = outcome ? "+" + *outcome : "-" + outcome.error().text;
  text.resize(std::min(text.size(), kTextMax));
  // Who went away meanwhile does not want to know.
  static_cast<void>(::send(asker_.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
  asker_ = UniqueFd();
}

}  // namespace dfs::fuse
