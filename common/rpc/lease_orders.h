// Orders of leases (proto/dfs/v1/meta.proto: LeaseRecall): how the numbers of grants and recalls
// tell a server's lives apart.
#pragma once

#include <cstdint>

namespace dfs {

// More than 10^12 grants and recalls in each life.
inline constexpr unsigned kLeaseOrderBits = 40;

// Below all orders of the life that begins with the server's start number `starts`.
constexpr std::uint64_t lease_order_before(std::uint64_t starts) { return starts << kLeaseOrderBits; }

// The number of the start of the server that has given `order`.
constexpr std::uint64_t life_of_lease_order(std::uint64_t order) { return order >> kLeaseOrderBits; }

}  // namespace dfs
