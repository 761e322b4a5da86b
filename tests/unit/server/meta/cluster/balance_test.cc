// Which memberships move so that servers become equally full.
#include "server/meta/cluster/balance.h"

#include <algorithm>
#include <map>
#include <random>
#include <string>

#include <gtest/gtest.h>

namespace dfs {
namespace {

BalanceServer server(std::uint32_t id, std::uint64_t used, std::uint64_t capacity,
                     std::string zone = {}) {
  return {.place = {.server = ServerId{id}, .zone = std::move(zone), .rack = {}, .host = {}},
          .capacity = capacity * GiB,
          .available = (capacity - used) * GiB,
          .can_take = true,
          .can_give = true};
}
BalanceGroup group(std::uint32_t id, std::vector<std::uint32_t> members) {
  BalanceGroup made{.group = GroupId{id}, .members = {}};
  for (const std::uint32_t member : members) made.members.emplace_back(member);
  return made;
}

TEST(ChooseMoves, MovesFromTheFullestToTheEmptiest) {
  const auto moves = choose_moves({server(1, 60, 100), server(2, 80, 100), server(3, 10, 100)},
                                  {group(1, {1, 2}), group(2, {1, 2}), group(3, {2})}, 1);
  EXPECT_EQ(moves, (std::vector{BalanceMove{GroupId{1}, ServerId{2}, ServerId{3}}}));
}

TEST(ChooseMoves, LooksAtCapacityAndNotAtBytes) {
  EXPECT_TRUE(choose_moves({server(1, 50, 100), server(2, 500, 1'000)},
                           {group(1, {2}), group(2, {2}), group(3, {2})}, 1)
                  .empty());
}

TEST(ChooseMoves, LeavesSmallDifferencesAlone) {
  EXPECT_TRUE(choose_moves({server(1, 52, 100), server(2, 48, 100)},
                           {group(1, {1}), group(2, {1}), group(3, {1})}, 1)
                  .empty());
}

TEST(ChooseMoves, NeverMakesTheOtherOneTheFullerOne) {
  EXPECT_TRUE(choose_moves({server(1, 60, 100), server(2, 0, 100)}, {group(1, {1})}, 1).empty());
}

TEST(ChooseMoves, KeepsFailureDomainsApart) {
  const std::vector<BalanceServer> servers{server(1, 80, 100, "a"), server(2, 50, 100, "b"),
                                           server(3, 0, 100, "b"), server(4, 20, 100, "a")};
  const auto moves = choose_moves(
      servers, {group(1, {1, 2}), group(2, {1, 2}), group(3, {1, 2}), group(4, {1, 2})}, 1);
  EXPECT_EQ(moves, (std::vector{BalanceMove{GroupId{1}, ServerId{1}, ServerId{4}}}));
}

TEST(ChooseMoves, TakesNobodyWhoIsToGoOrHasNoRoom) {
  BalanceServer going = server(2, 0, 100);
  going.can_take = false;
  EXPECT_TRUE(choose_moves({server(1, 80, 100), going}, {group(1, {1}), group(2, {1})}, 1).empty());
}

TEST(ChooseMoves, TakesNothingFromWhoHasTakenLately) {
  BalanceServer taker = server(1, 80, 100);
  taker.can_give = false;
  EXPECT_TRUE(choose_moves({taker, server(2, 0, 100)}, {group(1, {1}), group(2, {1})}, 1).empty());
}

TEST(ChooseMoves, UsesEachServerOnce) {
  const auto moves = choose_moves(
      {server(1, 90, 100), server(2, 80, 100), server(3, 2, 100), server(4, 0, 100)},
      {group(1, {1}), group(2, {1}), group(3, {2}), group(4, {2}), group(5, {2})}, 8);
  ASSERT_EQ(moves.size(), 2u);
  EXPECT_EQ(moves[0].to, ServerId{4});
  EXPECT_EQ(moves[1].to, ServerId{3});
}

// Groups of random weight, moved until nothing is to be moved any more.
class RandomBalance {
 public:
  explicit RandomBalance(std::uint32_t seed) : random_(seed) {
    const std::uint32_t servers = pick(3, 12), zones = pick(1, 4);
    for (std::uint32_t id = 1; id <= servers; ++id) {
      capacity_[id] = pick(2'000, 8'000);
      zone_[id] = "zone" + std::to_string(id % zones);
    }
    // The last servers are new and have nothing.
    const std::uint32_t old = std::max(2u, servers - pick(0, 2));
    for (std::uint32_t id = 1; id <= pick(old, 8 * old); ++id) {
      std::vector<std::uint32_t> all;
      for (std::uint32_t member = 1; member <= old; ++member) all.push_back(member);
      std::shuffle(all.begin(), all.end(), random_);
      all.resize(pick(1, std::min(old, 3u)));
      groups_.push_back(group(id, all));
      weight_[id] = pick(1, 40);
    }
  }

  std::uint64_t used(std::uint32_t id) const {
    std::uint64_t sum = 0;
    for (const BalanceGroup& each : groups_)
      if (std::find(each.members.begin(), each.members.end(), ServerId{id}) != each.members.end())
        sum += weight_.at(each.group.value());
    return sum;
  }
  std::vector<BalanceServer> servers() const {
    std::vector<BalanceServer> all;
    for (const auto& [id, capacity] : capacity_)
      all.push_back(server(id, used(id), capacity, zone_.at(id)));
    return all;
  }
  int shared(const BalanceGroup& of) const {
    int count = 0;
    for (const ServerId a : of.members)
      for (const ServerId b : of.members)
        count += a < b && zone_.at(a.value()) == zone_.at(b.value());
    return count;
  }

  void run() {
    for (int round = 0; round < 2'000; ++round) {
      const auto moves = choose_moves(servers(), groups_, 1);
      if (moves.empty()) return;
      const BalanceMove& move = moves[0];
      BalanceGroup& moved = *std::find_if(groups_.begin(), groups_.end(), [&](const auto& each) {
        return each.group == move.group;
      });
      const int before = shared(moved);
      const auto place = std::find(moved.members.begin(), moved.members.end(), move.from);
      ASSERT_NE(place, moved.members.end());
      ASSERT_EQ(std::count(moved.members.begin(), moved.members.end(), move.to), 0);
      *place = move.to;
      ASSERT_LE(shared(moved), before);
    }
    FAIL() << "memberships move to and fro";
  }

 private:
  std::uint32_t pick(std::uint32_t least, std::uint32_t most) {
    return std::uniform_int_distribution<std::uint32_t>(least, most)(random_);
  }

  std::mt19937 random_;
  std::map<std::uint32_t, std::uint64_t> capacity_;
  std::map<std::uint32_t, std::string> zone_;
  std::vector<BalanceGroup> groups_;
  std::map<std::uint32_t, std::uint64_t> weight_;
};

TEST(ChooseMovesRandom, ComesToRestAndKeepsDomainsApart) {
  for (std::uint32_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomBalance balance(seed);
    balance.run();
    if (::testing::Test::HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace dfs
