// Which memberships should move so that all servers become equally full. Pure
// functions of facts; nothing here has state, reads a clock or knows a table.
//
// What a membership weighs is not known; it is taken for what its server has,
// divided by the groups that the server is in. A move is chosen only if
//
//   fullness(from) - fullness(to) > kBalanceDifferenceMin          before it
//   fullness(from) >= fullness(to)                                 after it
//   the members share no more of zone, rack and host than before
//
// so, as far as that is right, each one brings the two closer to each other and
// none asks for its reverse. As it may be wrong, who has given takes nothing for
// a day, and the other way round: nothing goes to and fro.
#pragma once

#include <cstdint>
#include <set>
#include <vector>

#include "common/base/ids.h"
#include "server/meta/cluster/placement.h"

namespace dfs {

// Of a server's capacity.
inline constexpr double kBalanceDifferenceMin = 0.05;

struct BalanceServer {
  PlacementServer place;
  std::uint64_t capacity = 0;
  std::uint64_t available = 0;
  bool can_take = false;  // is alive, is to stay, and has not given lately
  bool can_give = true;   // has not taken lately
};
struct BalanceGroup {
  GroupId group;
  std::vector<ServerId> members;
};
struct BalanceMove {
  GroupId group;
  ServerId from;
  ServerId to;
  friend bool operator==(const BalanceMove&, const BalanceMove&) = default;
};

// At most `moves_max` moves that can go on side by side: no server and no
// group is in two of them. The fullest servers give first, the emptiest take.
std::vector<BalanceMove> choose_moves(const std::vector<BalanceServer>& servers,
                                      const std::vector<BalanceGroup>& groups,
                                      std::size_t moves_max);

}  // namespace dfs
