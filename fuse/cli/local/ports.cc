#include "fuse/cli/local/ports.h"

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <memory>

#include <fmt/format.h>

#include "common/base/random.h"
#include "common/base/unique_fd.h"

namespace dfs::cli {

namespace {

struct PortRange {
  std::uint32_t first;
  std::uint32_t last;
};

constexpr PortRange kCandidates{20000, 32000};

PortRange outgoing_ports() {
  PortRange range{32768, 60999};  // Linux' default
  std::ifstream file("/proc/sys/net/ipv4/ip_local_port_range");
  file >> range.first >> range.last;
  return range;
}

using AddressList = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

Result<AddressList> look_up(const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (error != 0)
    return fail(Errc::invalid, fmt::format("{} is no address of this machine: {}", host, ::gai_strerror(error)));
  return AddressList(found, &::freeaddrinfo);
}

Result<bool> is_free(const std::string& host, std::uint16_t port) {
  const AddressList list = TRY(look_up(host, port));
  const UniqueFd socket(::socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return fail_errno(errno, "socket");
  // What the servers do too: a connection in TIME_WAIT does not count.
  const int yes = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (::bind(socket.get(), list->ai_addr, list->ai_addrlen) == 0) return true;
  if (errno == EADDRINUSE) return false;
  return fail_errno(errno, fmt::format("bind to {}", host));
}

}  // namespace

Result<std::vector<std::uint16_t>> find_free_ports(const std::string& host, std::size_t count,
                                                   const std::vector<std::uint16_t>& taken) {
  const PortRange outgoing = outgoing_ports();
  const bool all_are_outgoing =
      outgoing.first <= kCandidates.first && outgoing.last >= kCandidates.last;
  const std::uint32_t span = kCandidates.last - kCandidates.first;
  const std::uint32_t start = static_cast<std::uint32_t>(random_number() % span);
  std::vector<std::uint16_t> ports;
  for (std::uint32_t step = 0; step < span && ports.size() < count; ++step) {
    const std::uint32_t candidate = kCandidates.first + (start + step) % span;
    const auto port = static_cast<std::uint16_t>(candidate);
    if (!all_are_outgoing && candidate >= outgoing.first && candidate <= outgoing.last) continue;
    if (std::ranges::find(taken, port) != taken.end()) continue;
    const bool free = TRY(is_free(host, port));
    if (free) ports.push_back(port);
  }
  if (ports.size() < count)
    return fail(Errc::unavailable, fmt::format("{} has no {} free ports from {} to {}", host, count,
                                               kCandidates.first, kCandidates.last));
  return ports;
}

}  // namespace dfs::cli
