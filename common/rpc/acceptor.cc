#include "common/rpc/acceptor.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "common/base/log.h"

namespace dfs {
namespace {

constexpr int kBacklog = 1024;
// Without a descriptor the listener stays readable, so a wait for it would end at once.
constexpr int kPauseMs = 100;
// At the limit connections come and go: the log hears of it this often.
constexpr std::chrono::seconds kTellPause{10};

// The kernel gives the lowest number that is free, so a connection's number
// tells how many are in use. What is above this is for files.
rlim_t connections_end() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return RLIM_INFINITY;
  return limit.rlim_cur - std::min<rlim_t>(limit.rlim_cur / 2, Acceptor::kDescriptorsKept);
}

Result<void> set(int socket, int level, int option, int value) {
  if (::setsockopt(socket, level, option, &value, sizeof value) != 0)
    return fail_errno(errno, "preparing a socket");
  return {};
}

// Connections inherit TCP_NODELAY.
Result<UniqueFd> listen_on(const addrinfo& at, const std::string& name) {
  UniqueFd socket(::socket(at.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return fail_errno(errno, "cannot listen on " + name);
  TRY(set(socket.get(), SOL_SOCKET, SO_REUSEADDR, 1));
  TRY(set(socket.get(), IPPROTO_TCP, TCP_NODELAY, 1));
  // The wildcard takes IPv4 too, whatever the machine's default is.
  if (at.ai_family == AF_INET6) TRY(set(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, 0));
  if (::bind(socket.get(), at.ai_addr, at.ai_addrlen) == 0 && ::listen(socket.get(), kBacklog) == 0)
    return socket;
  if (errno == EADDRINUSE)
    return fail(Errc::busy, fmt::format("cannot listen on {}: the port is in use", name));
  return fail_errno(errno, "cannot listen on " + name);
}

// The port is at the same place in addresses of IPv4 and of IPv6.
static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));

void set_port(sockaddr& address, int port) {
  reinterpret_cast<sockaddr_in&>(address).sin_port = htons(static_cast<std::uint16_t>(port));
}

Result<int> port_of(int socket) {
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&bound), &size) != 0)
    return fail_errno(errno, "asking for the port of a socket");
  return ntohs(reinterpret_cast<const sockaddr_in&>(bound).sin_port);
}

}  // namespace

Acceptor::~Acceptor() { stop(); }

Result<int> Acceptor::listen(const Address& address) {
  addrinfo wanted{};
  wanted.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const std::string name = address.to_string();
  const int problem =
      ::getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &wanted, &found);
  if (problem != 0)
    return fail(Errc::invalid, fmt::format("cannot listen on {}: {}", name, ::gai_strerror(problem)));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> list(found, ::freeaddrinfo);

  // A name may stand for an address of IPv4 and one of IPv6, of which this
  // machine may have only one kind.
  int port = address.port;
  std::optional<Error> trouble;
  std::vector<UniqueFd> sockets;
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    set_port(*at->ai_addr, port);
    auto socket = listen_on(*at, name);
    if (!socket && socket.error().code == Errc::busy) return fail(socket.error());
    if (!socket) {
      trouble = socket.error();
      continue;
    }
    port = TRY(port_of(socket->get()));
    sockets.push_back(std::move(*socket));
  }
  if (sockets.empty()) return fail(*trouble);
  std::move(sockets.begin(), sockets.end(), std::back_inserter(listeners_));
  return port;
}

Result<void> Acceptor::listen(const std::filesystem::path& socket) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket.native().size() >= sizeof address.sun_path)
    return fail(Errc::name_too_long, fmt::format("{} is too long for a unix socket", socket.string()));
  std::memcpy(address.sun_path, socket.c_str(), socket.native().size());
  UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener) return fail_errno(errno, "cannot listen on " + socket.string());
  if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return fail_errno(errno, "cannot listen on " + socket.string());
  socket_ = socket;
  if (::listen(listener.get(), kBacklog) != 0)
    return fail_errno(errno, "cannot listen on " + socket.string());
  listeners_.push_back(std::move(listener));
  return {};
}

Result<void> Acceptor::start(Taker take) {
  stop_ = UniqueFd(::eventfd(0, EFD_CLOEXEC));
  if (!stop_) return fail_errno(errno, "preparing to accept connections");
  take_ = std::move(take);
  thread_ = std::thread([this] { run(); });
  ::pthread_setname_np(thread_.native_handle(), "acceptor");
  return {};
}

void Acceptor::stop() {
  if (thread_.joinable()) {
    ::eventfd_write(stop_.get(), 1);
    thread_.join();
  }
  listeners_.clear();
  if (!socket_.empty()) ::unlink(std::exchange(socket_, {}).c_str());
}

void Acceptor::run() {
  std::vector<pollfd> events{{.fd = stop_.get(), .events = POLLIN, .revents = 0}};
  for (const UniqueFd& listener : listeners_)
    events.push_back({.fd = listener.get(), .events = POLLIN, .revents = 0});
  bool pause = false;
  while (true) {
    // A pause hears nothing but the order to stop.
    const int count = ::poll(events.data(), pause ? 1 : events.size(), pause ? kPauseMs : -1);
    if (count < 0 && errno != EINTR) log_error("rpc", "waiting for connections: {}", std::strerror(errno));
    if (events.front().revents != 0) return;
    pause = count < 0;
    for (std::size_t i = 1; i < events.size(); ++i) {
      Accepted accepted = Accepted::one;
      while (accepted == Accepted::one) accepted = accept_from(events[i].fd);
      pause = pause || accepted == Accepted::no_descriptor;
    }
  }
}

Acceptor::Accepted Acceptor::accept_from(int listener) {
  UniqueFd connection(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!connection) {
    if (errno == EINTR || errno == ECONNABORTED) return Accepted::one;
    if (errno == EAGAIN) return Accepted::none;
    tell(true, std::strerror(errno));
    return Accepted::no_descriptor;
  }
  if (static_cast<rlim_t>(connection.get()) >= connections_end()) {
    tell(true, "what is left is for files");
    return Accepted::one;
  }
  tell(false, "");
  take_(std::move(connection));
  return Accepted::one;
}

void Acceptor::tell(bool is_short, const char* what) {
  const auto now = std::chrono::steady_clock::now();
  if (is_short_ == is_short || now - told_ < kTellPause) return;
  is_short_ = is_short;
  told_ = now;
  if (!is_short) return log_info("rpc", "there are descriptors for new connections again");
  log_error("rpc",
            "no descriptor for a new connection ({}), callers have to wait: raise this program's limit "
            "(ulimit -n, LimitNOFILE of a systemd unit), or let fewer clients connect",
            what);
}

}  // namespace dfs
