// Where chunks go: which replica groups should exist, and which of them new
// chunks are taken from. Pure functions of facts; nothing here has state,
// reads a clock or knows a table.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"

namespace dfs {

// A server that may become a member. Two servers with the same non-empty
// zone, rack or host share what fails there.
struct PlacementServer {
  ServerId server;
  std::string zone;
  std::string rack;
  std::string host;
};

// Members in order; the first one forwards.
using GroupMembers = std::vector<ServerId>;

// How often one server may be first in a group: bounds the number of groups.
inline constexpr std::uint32_t kGroupsPerServerMax = 16;

// The groups to add to `existing` (of the same number of replicas), in the
// order in which to make them; none if there are fewer servers than
// `replicas`. Existing groups are never changed.
//   members     distinct servers, sharing as little as possible of zone, then
//               rack, then host
//   evenness    groups are added until every server is first in about
//               equally many (they differ by one at most, `existing`
//               permitting) and a member of about equally many
//   repeatable  the same facts give the same plan, and a plan that was
//               carried out leaves nothing to add
std::vector<GroupMembers> plan_groups(const std::vector<PlacementServer>& servers,
                                      const std::vector<GroupMembers>& existing,
                                      std::uint32_t replicas);

// Who could become a member of a group that exists.
struct Candidate {
  PlacementServer place;
  std::uint32_t memberships = 0;
  std::uint64_t capacity = 0;
  std::uint64_t available = 0;
};

// A server with less room than this becomes nobody's replacement.
inline constexpr std::uint64_t kReplacementSpaceMin = 256 * MiB;

// The candidate that shares least with `staying` of zone, then rack, then
// host, and of equals the one with the fewest memberships for its size; none
// if all are too full. `candidates` has nobody of `staying`.
std::optional<ServerId> choose_replacement(const std::vector<Candidate>& candidates,
                                           const std::vector<PlacementServer>& staying);

// What is known about a group when chunks are asked for.
struct GroupFacts {
  GroupId group;
  std::uint32_t members = 0;
  std::uint32_t alive = 0;       // members that answer
  std::uint32_t avoided = 0;     // alive members that the asker would rather not meet
  std::uint64_t available = 0;   // bytes that the fullest alive member still takes
};

// A group takes new chunks while at least this many members are alive.
constexpr std::uint32_t members_needed(std::uint32_t members) {
  return members > 1 ? members - 1 : 1;
}

struct ChunkShare {
  GroupId group;
  std::uint32_t count = 0;
};

// One answer names at most this many groups.
inline constexpr std::size_t kGroupsPerAllocationMax = 8;

// Shares `count` chunks of up to `chunk_size` bytes out among the groups that
// lack the fewest members, in proportion to their space. `turn` moves the
// start on, so that equal questions in a row do not meet the same group.
// The counts add up to `count`, which is at least 1.
//   unavailable  no group has enough members alive
//   no_space     those that have are full
Result<std::vector<ChunkShare>> share_chunks(const std::vector<GroupFacts>& groups,
                                             std::uint32_t count, std::uint64_t chunk_size,
                                             std::uint64_t turn);

}  // namespace dfs
