// Free TCP ports for servers that shall keep them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/result.h"

namespace dfs::cli {

// `count` different ports of `host` that nobody listens on now. They lie
// outside the range the kernel takes for outgoing connections, so that none
// of those sits on a server's port while the server is down.
//   unavailable  there are not that many
Result<std::vector<std::uint16_t>> find_free_ports(const std::string& host, std::size_t count,
                                                   const std::vector<std::uint16_t>& taken);

}  // namespace dfs::cli
