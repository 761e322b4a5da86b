#include "server/meta/cluster/placement.h"

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dfs {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<PlacementServer> servers(std::uint32_t count) {
  std::vector<PlacementServer> all;
  for (std::uint32_t id = 1; id <= count; ++id) all.push_back({ServerId{id}, "", "", ""});
  return all;
}
GroupMembers members(std::initializer_list<std::uint32_t> ids) {
  GroupMembers all;
  for (const std::uint32_t id : ids) all.push_back(ServerId{id});
  return all;
}

Candidate candidate(std::uint32_t id, std::string rack, std::string host,
                    std::uint32_t memberships, std::uint64_t available = 100 * GiB) {
  return {{ServerId{id}, "", std::move(rack), std::move(host)}, memberships, 100 * GiB, available};
}

TEST(ChooseReplacement, KeepsFailureDomainsApartBeforeItEvensLoad) {
  const std::vector<PlacementServer> staying = {{ServerId{1}, "", "r1", "h1"},
                                                {ServerId{2}, "", "r2", "h2"}};
  EXPECT_EQ(choose_replacement({candidate(3, "r1", "h3", 0), candidate(4, "r3", "h4", 9)}, staying),
            ServerId{4});
  EXPECT_EQ(choose_replacement({candidate(3, "r1", "h1", 0), candidate(4, "r1", "h4", 9)}, staying),
            ServerId{4})
      << "the same rack, but another host";
  EXPECT_EQ(choose_replacement({candidate(3, "r3", "h3", 5), candidate(4, "r3", "h4", 4)}, staying),
            ServerId{4});
}

TEST(ChooseReplacement, CountsMembershipsByTheSizeOfServers) {
  Candidate large = candidate(3, "", "", 5), small = candidate(4, "", "", 4);
  large.capacity = 200 * GiB;
  EXPECT_EQ(choose_replacement({large, small}, {}), ServerId{3});
}

TEST(ChooseReplacement, TakesNobodyWhoIsFull) {
  EXPECT_EQ(choose_replacement({candidate(3, "", "", 0, kReplacementSpaceMin - 1)}, {}),
            std::nullopt);
  EXPECT_EQ(choose_replacement({}, {}), std::nullopt);
}

struct Load {
  std::uint32_t member = 0;
  std::uint32_t first = 0;
};
std::map<ServerId, Load> loads(const std::vector<PlacementServer>& all,
                               const std::vector<GroupMembers>& groups) {
  std::map<ServerId, Load> result;
  for (const auto& server : all) result[server.server];
  for (const auto& group : groups) {
    ++result[group.front()].first;
    for (const ServerId server : group) ++result[server].member;
  }
  return result;
}
std::uint32_t spread(const std::map<ServerId, Load>& loads, std::uint32_t Load::*field) {
  std::uint32_t least = UINT32_MAX, most = 0;
  for (const auto& [server, load] : loads) {
    least = std::min(least, load.*field);
    most = std::max(most, load.*field);
  }
  return most - least;
}

TEST(PlanGroups, RotatesThreeServersForThreeReplicas) {
  EXPECT_THAT(plan_groups(servers(3), {}, 3),
              ElementsAre(members({1, 2, 3}), members({2, 3, 1}), members({3, 1, 2})));
}

TEST(PlanGroups, MakesOneGroupAServerForOneReplica) {
  EXPECT_THAT(plan_groups(servers(3), {}, 1),
              ElementsAre(members({1}), members({2}), members({3})));
}

TEST(PlanGroups, MakesPairsForTwoReplicas) {
  const auto plan = plan_groups(servers(3), {}, 2);
  EXPECT_EQ(plan.size(), 3u);
  const std::set<GroupMembers> distinct(plan.begin(), plan.end());
  EXPECT_EQ(distinct.size(), 3u);
}

TEST(PlanGroups, MakesNothingWithTooFewServers) {
  EXPECT_THAT(plan_groups(servers(2), {}, 3), IsEmpty());
  EXPECT_THAT(plan_groups({}, {}, 1), IsEmpty());
}

TEST(PlanGroups, ServersThatComeOneByOneEndUpAllFirstSomewhere) {
  for (const std::uint32_t replicas : {1u, 2u, 3u, 5u}) {
    std::vector<GroupMembers> groups;
    for (std::uint32_t count = 1; count <= 20; ++count) {
      for (auto& group : plan_groups(servers(count), groups, replicas))
        groups.push_back(std::move(group));
      if (count < replicas) continue;
      const auto load = loads(servers(count), groups);
      EXPECT_LE(spread(load, &Load::first), 1u) << replicas << " replicas, " << count;
      EXPECT_TRUE(plan_groups(servers(count), groups, replicas).empty()) << "nothing left to add";
    }
    EXPECT_LE(groups.size(), 20u * kGroupsPerServerMax);
  }
}

TEST(PlanGroups, MembersAreDistinctAndEvenWhateverTheFacts) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 200; ++round) {
    auto all = servers(1 + random() % 24);
    const std::uint32_t hosts = 1 + random() % 8;
    const bool labelled = random() % 2 == 0;
    if (labelled)
      for (auto& server : all) server.host = std::to_string(random() % hosts);
    const auto replicas = static_cast<std::uint32_t>(1 + random() % std::min<std::size_t>(all.size(), 5));
    const auto plan = plan_groups(all, {}, replicas);
    ASSERT_FALSE(plan.empty());
    for (const auto& group : plan) {
      ASSERT_EQ(group.size(), replicas);
      ASSERT_EQ(std::set<ServerId>(group.begin(), group.end()).size(), replicas);
    }
    const auto load = loads(all, plan);
    EXPECT_LE(spread(load, &Load::first), 1u);
    if (!labelled) {
      EXPECT_LE(spread(load, &Load::member), 1u);
    }
  }
}

TEST(PlanGroups, MembersLieInDifferentRacksWherePossible) {
  auto all = servers(6);
  for (std::size_t i = 0; i < all.size(); ++i) all[i].rack = i < 4 ? "a" : i < 5 ? "b" : "c";
  for (const auto& group : plan_groups(all, {}, 3)) {
    std::set<std::string> racks;
    for (const ServerId server : group) racks.insert(all[server.value() - 1].rack);
    EXPECT_EQ(racks.size(), 3u);
  }
}

TEST(PlanGroups, ZonesMatterMoreThanHosts) {
  std::vector<PlacementServer> all = {{ServerId{1}, "east", "", "h1"},
                                      {ServerId{2}, "east", "", "h2"},
                                      {ServerId{3}, "west", "", "h1"}};
  EXPECT_EQ(plan_groups(all, {}, 2).front(), members({1, 3}));
}

GroupFacts facts(std::uint32_t group, std::uint64_t available, std::uint32_t alive = 3) {
  return {.group = GroupId{group}, .members = 3, .alive = alive, .avoided = 0, .available = available};
}
std::uint32_t total(const std::vector<ChunkShare>& shares) {
  std::uint32_t sum = 0;
  for (const auto& share : shares) sum += share.count;
  return sum;
}

TEST(ShareChunks, SpreadsManyChunksOverEqualGroupsEvenly) {
  const auto shares = share_chunks({facts(1, GiB), facts(2, GiB), facts(3, GiB)}, 3000, 8 * MiB, 5);
  ASSERT_TRUE(shares);
  ASSERT_EQ(shares->size(), 3u);
  for (const auto& share : *shares) EXPECT_EQ(share.count, 1000u);
}

TEST(ShareChunks, ConsecutiveTurnsForOneChunkMeetAllGroupsAboutEquallyOften) {
  std::map<GroupId, int> met;
  for (std::uint64_t turn = 0; turn < 300; ++turn) {
    const auto shares = share_chunks({facts(1, GiB), facts(2, GiB), facts(3, GiB)}, 1, 8 * MiB, turn);
    ASSERT_TRUE(shares);
    ASSERT_EQ(shares->size(), 1u);
    ASSERT_EQ(shares->front().count, 1u);
    ++met[shares->front().group];
  }
  for (std::uint32_t group = 1; group <= 3; ++group) EXPECT_NEAR(met[GroupId{group}], 100, 10);
}

TEST(ShareChunks, GivesMoreToGroupsWithMoreSpace) {
  const auto shares = share_chunks({facts(1, 10 * GiB), facts(2, 30 * GiB)}, 4000, 8 * MiB, 0);
  ASSERT_TRUE(shares);
  ASSERT_EQ(shares->size(), 2u);
  for (const auto& share : *shares)
    EXPECT_NEAR(share.count, share.group == GroupId{1} ? 1000 : 3000, 2);
}

TEST(ShareChunks, PrefersGroupsWithAllMembersAlive) {
  const auto shares = share_chunks({facts(1, GiB, 2), facts(2, GiB)}, 100, 8 * MiB, 3);
  ASSERT_TRUE(shares);
  ASSERT_EQ(shares->size(), 1u);
  EXPECT_EQ(shares->front().group, GroupId{2});
}

TEST(ShareChunks, PrefersGroupsWithoutAvoidedServersButTakesThemIfThereAreNoOthers) {
  GroupFacts avoided = facts(1, GiB);
  avoided.avoided = 1;
  const auto both = share_chunks({avoided, facts(2, GiB)}, 1, 8 * MiB, 0);
  ASSERT_TRUE(both);
  EXPECT_EQ(both->front().group, GroupId{2});
  const auto only = share_chunks({avoided}, 1, 8 * MiB, 0);
  ASSERT_TRUE(only);
  EXPECT_EQ(only->front().group, GroupId{1});
}

TEST(ShareChunks, TakesADegradedGroupOnceTheOthersAreFull) {
  const auto shares = share_chunks({facts(1, GiB, 2), facts(2, MiB)}, 1, 8 * MiB, 0);
  ASSERT_TRUE(shares);
  EXPECT_EQ(shares->front().group, GroupId{1});
}

TEST(ShareChunks, SaysNoSpaceWhenEveryAliveGroupIsFull) {
  const auto shares = share_chunks({facts(1, 8 * MiB - 1), facts(2, GiB, 1)}, 1, 8 * MiB, 0);
  ASSERT_FALSE(shares);
  EXPECT_EQ(shares.error().code, Errc::no_space);
}

TEST(ShareChunks, SaysUnavailableWhenTooFewMembersAreAlive) {
  const auto shares = share_chunks({facts(1, GiB, 1)}, 1, 8 * MiB, 0);
  ASSERT_FALSE(shares);
  EXPECT_EQ(shares.error().code, Errc::unavailable);
}

TEST(ShareChunks, AlwaysHandsOutExactlyWhatWasAskedFor) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 500; ++round) {
    std::vector<GroupFacts> groups;
    for (std::uint32_t group = 1; group <= 1 + random() % 30; ++group)
      groups.push_back(facts(group, 8 * MiB + random() % (100 * TiB)));
    const auto count = static_cast<std::uint32_t>(1 + random() % 4096);
    const auto shares = share_chunks(groups, count, 8 * MiB, random());
    ASSERT_TRUE(shares);
    EXPECT_EQ(total(*shares), count);
    EXPECT_LE(shares->size(), kGroupsPerAllocationMax);
  }
}

}  // namespace
}  // namespace dfs
