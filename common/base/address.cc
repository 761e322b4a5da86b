#include "common/base/address.h"

#include <sys/un.h>

#include <charconv>

namespace dfs {
namespace {

constexpr std::string_view kUnixPrefix = "unix:";
constexpr std::size_t kHostMax = 255;

tl::unexpected<Error> not_an_address(std::string_view text, std::string_view why) {
  return fail(Errc::invalid, "\"" + std::string(text.substr(0, 300)) + "\" is not an address: " +
                                 std::string(why) +
                                 "; write host:port, [ipv6]:port or unix:/absolute/path");
}

Result<Address> parse_unix(std::string_view text) {
  const std::string_view path = text.substr(kUnixPrefix.size());
  if (path.empty() || path.front() != '/') return not_an_address(text, "the path must start with /");
  if (path.size() >= sizeof(sockaddr_un::sun_path))
    return not_an_address(text, "a socket's path has at most " +
                                    std::to_string(sizeof(sockaddr_un::sun_path) - 1) + " bytes");
  Address address;
  address.unix_path = path;
  return address;
}

}  // namespace

std::string Address::to_string() const {
  if (is_unix()) return std::string(kUnixPrefix) + unix_path;
  const bool is_ipv6 = host.find(':') != std::string::npos;
  return (is_ipv6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<Address> parse_address(std::string_view text, AddressUse use) {
  if (text.find_first_of(std::string_view(" \t\r\n\0", 5)) != std::string_view::npos)
    return not_an_address(text, "it has a blank in it");
  if (text.starts_with(kUnixPrefix)) return parse_unix(text);

  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return not_an_address(text, "the port is missing");
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);

  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find_first_of(":[]") != std::string_view::npos) {
    return not_an_address(text, "an IPv6 host stands in brackets");
  }
  if (host.empty()) return not_an_address(text, "the host is missing");
  if (host.size() > kHostMax) return not_an_address(text, "the host is too long");

  std::uint32_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  const bool is_number = error == std::errc() && end == digits.data() + digits.size();
  if (!is_number || port > 65535) return not_an_address(text, "the port must be a number up to 65535");
  if (port == 0 && use == AddressUse::connect)
    return not_an_address(text, "port 0 cannot be connected to");

  Address address;
  address.host = host;
  address.port = static_cast<std::uint16_t>(port);
  return address;
}

}  // namespace dfs
