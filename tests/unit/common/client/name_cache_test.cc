// What names lead to, as long as the lease on their directory lasts.
#include "common/client/name_cache.h"

#include <gtest/gtest.h>

#include "common/client/meta_cache.h"
#include "tests/support/fake_clock.h"

namespace dfs {
namespace {

constexpr InodeId kDirectory{2};
constexpr InodeId kFile{5};
constexpr InodeId kOther{6};
constexpr InodeId kNothing{};

class NameCacheTest : public ::testing::Test {
 protected:
  NameCacheTest() {
    gate.welcomed({.order = 0, .lost = {}, .lease_time = std::chrono::seconds(20)});
    gate.confirmed(clock.now());
    gate.granted(kDirectory, LeaseKind::read, 10);
  }
  std::optional<InodeId> find(std::string_view name) {
    const auto known = names.find(kDirectory, name);
    return known ? std::optional(known->inode) : std::nullopt;
  }

  FakeClock clock;
  LeaseGate gate{clock};
  NameCache names{gate, 1000};
};

TEST_F(NameCacheTest, KnowsNamesAndAbsentOnesAsLongAsTheLeaseLasts) {
  EXPECT_EQ(find("a"), std::nullopt);
  names.learn(kDirectory, "a", kFile, 10);
  names.learn(kDirectory, "b", kNothing, 11);
  EXPECT_EQ(find("a"), kFile);
  ASSERT_TRUE(names.find(kDirectory, "b"));
  EXPECT_TRUE(names.find(kDirectory, "b")->absent());
  EXPECT_FALSE(names.find(kOther, "a")) << "the name of another directory";

  gate.recall({kDirectory, LeaseKind::none}, 12);
  gate.settled(kDirectory, LeaseKind::none);
  EXPECT_EQ(find("a"), std::nullopt);
  EXPECT_EQ(find("b"), std::nullopt);
  gate.granted(kDirectory, LeaseKind::read, 13);
  EXPECT_EQ(find("a"), std::nullopt) << "another lease";
}

TEST_F(NameCacheTest, OfTwoAnswersTheLaterOneCountsWhicheverComesFirst) {
  names.learn(kDirectory, "a", kFile, 12);
  names.learn(kDirectory, "a", kOther, 11);
  EXPECT_EQ(find("a"), kFile);
  names.learn(kDirectory, "a", kOther, 13);
  EXPECT_EQ(find("a"), kOther);
  names.learn(kDirectory, "a", kNothing, 14);
  EXPECT_EQ(find("a"), kNothing);
}

TEST_F(NameCacheTest, AnAnswerFromBeforeAChangeDoesNotCount) {
  names.learn(kDirectory, "a", kFile, 11);
  names.forget(kDirectory, "a", 13);
  names.forget(kDirectory, "b", 13);
  EXPECT_EQ(find("a"), std::nullopt);
  names.learn(kDirectory, "a", kFile, 12);
  names.learn(kDirectory, "b", kFile, 12);
  EXPECT_EQ(find("a"), std::nullopt);
  EXPECT_EQ(find("b"), std::nullopt);
  EXPECT_FALSE(names.may_keep(kDirectory, "a", kFile));
  names.learn(kDirectory, "a", kOther, 14);
  EXPECT_EQ(find("a"), kOther);
}

TEST_F(NameCacheTest, KnowsNothingByAnAnswerWithoutALease) {
  names.learn(kDirectory, "a", kFile, 11);
  names.learn(kDirectory, "a", kOther, 0);
  names.learn(kDirectory, "b", kFile, 0);
  EXPECT_EQ(find("a"), std::nullopt);
  EXPECT_EQ(find("b"), std::nullopt);
}

TEST_F(NameCacheTest, AKernelKeepsANameOnlyWhereNobodyAsksForTheLease) {
  names.learn(kDirectory, "a", kFile, 11);
  names.learn(kDirectory, "b", kNothing, 11);
  EXPECT_TRUE(names.may_keep(kDirectory, "a", kFile));
  EXPECT_TRUE(names.may_keep(kDirectory, "b", kNothing));
  EXPECT_FALSE(names.may_keep(kDirectory, "a", kOther)) << "it leads elsewhere by now";
  EXPECT_FALSE(names.may_keep(kDirectory, "c", kNothing)) << "nobody said so";
  gate.recall({kDirectory, LeaseKind::none}, 12);
  EXPECT_FALSE(names.may_keep(kDirectory, "a", kFile));
  EXPECT_EQ(find("a"), kFile) << "true until the answer";
}

TEST_F(NameCacheTest, HasRoomForWhatComesLastWithinItsBound) {
  constexpr std::size_t kMost = 320;
  NameCache small(gate, kMost);
  const auto learn = [&](const std::string& kind, int count) {
    for (int i = 0; i < count; ++i)
      small.learn(kDirectory, kind + std::to_string(i), kFile, 11);
  };
  const auto known = [&](const std::string& kind, int count) {
    std::size_t found = 0;
    for (int i = 0; i < count; ++i)
      if (small.find(kDirectory, kind + std::to_string(i))) ++found;
    return found;
  };
  learn("old", 3000);
  EXPECT_LE(known("old", 3000), kMost + 32);
  learn("new", 160);
  EXPECT_GT(known("new", 160), 110U);
  EXPECT_LE(known("new", 160) + known("old", 3000), kMost + 32);
}

TEST_F(NameCacheTest, SoDoesTheCacheOfAttributes) {
  const ClientConfig by_age;
  const Freshness freshness(gate, clock, by_age);
  MetaCache cache(160, freshness);
  const auto known = [&](std::uint64_t from, std::uint64_t to) {
    std::size_t found = 0;
    for (std::uint64_t i = from; i < to; ++i)
      if (cache.find(InodeId{i})) ++found;
    return found;
  };
  for (std::uint64_t i = 1; i < 3000; ++i) {
    Attributes attributes;
    attributes.inode = InodeId{i};
    cache.learn(attributes, clock.now());
  }
  EXPECT_LE(known(1, 3000), 176U);
  EXPECT_GT(known(2920, 3000), 60U);
}

}  // namespace
}  // namespace dfs
