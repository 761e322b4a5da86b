// Where a server listens or is found: "host:port", "[ipv6]:port" or
// "unix:/absolute/path". The text form is also gRPC's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace dfs {

struct Address {
  std::string host;          // without brackets; empty for a unix socket
  std::uint16_t port = 0;    // 0: the kernel chooses (listening only)
  std::string unix_path;     // empty for TCP

  bool is_unix() const { return !unix_path.empty(); }
  std::string to_string() const;
  friend bool operator==(const Address&, const Address&) = default;
};

// What an address is for: only a listener may leave the port to the kernel.
enum class AddressUse { connect, listen };

// `invalid`, saying what was found and what an address looks like. Looks no
// name up: that happens when the address is used.
Result<Address> parse_address(std::string_view text, AddressUse use = AddressUse::connect);

}  // namespace dfs
