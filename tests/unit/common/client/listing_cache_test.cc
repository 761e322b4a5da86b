// Pages of listings, as long as the lease on their directory lasts.
#include "common/client/listing_cache.h"

#include <gtest/gtest.h>

#include "tests/support/fake_clock.h"

namespace dfs {
namespace {

constexpr InodeId kDirectory{2};
constexpr InodeId kOther{3};

ReadDirResult page(std::uint64_t order, std::size_t entries = 1) {
  ReadDirResult result;
  result.lease = LeaseKind::read;
  result.lease_order = order;
  for (std::size_t i = 0; i < entries; ++i) result.entries.push_back({std::to_string(i), {}, i + 1});
  return result;
}

class ListingCacheTest : public ::testing::Test {
 protected:
  ListingCacheTest() {
    gate.welcomed({.order = 0, .lost = {}, .lease_time = std::chrono::seconds(20)});
    gate.confirmed(clock.now());
    for (std::uint64_t i = 0; i < 300; ++i) gate.granted(InodeId{i}, LeaseKind::read, 10);
  }
  bool knows(InodeId directory, std::uint64_t cookie = 0) {
    return listings.find(directory, cookie) != nullptr;
  }

  FakeClock clock;
  LeaseGate gate{clock};
  ListingCache listings{gate, 1000};
};

TEST_F(ListingCacheTest, KnowsPagesAsLongAsTheLeaseLasts) {
  EXPECT_FALSE(knows(kDirectory));
  listings.learn(kDirectory, 0, page(10, 3));
  listings.learn(kDirectory, 3, page(11));
  ASSERT_TRUE(knows(kDirectory));
  EXPECT_EQ(listings.find(kDirectory, 0)->entries.size(), 3U);
  EXPECT_TRUE(knows(kDirectory, 3));
  EXPECT_FALSE(knows(kDirectory, 1));
  gate.recall({kDirectory, LeaseKind::none}, 12);
  EXPECT_TRUE(knows(kDirectory)) << "true until the answer";
  gate.settled(kDirectory, LeaseKind::none);
  gate.granted(kDirectory, LeaseKind::read, 13);
  EXPECT_FALSE(knows(kDirectory));
}

TEST_F(ListingCacheTest, KnowsNothingByAnAnswerWithoutALease) {
  listings.learn(kDirectory, 0, page(0));
  EXPECT_FALSE(knows(kDirectory));
}

TEST_F(ListingCacheTest, APageFromBeforeAChangeHereIsRefused) {
  listings.learn(kDirectory, 0, page(10));
  listings.changed(kDirectory, 12);
  EXPECT_FALSE(knows(kDirectory));
  listings.learn(kDirectory, 0, page(11));
  EXPECT_FALSE(knows(kDirectory)) << "read before, looked at late";
  listings.learn(kDirectory, 0, page(13));
  EXPECT_TRUE(knows(kDirectory));
  listings.changed(kDirectory, 0);
  EXPECT_FALSE(knows(kDirectory)) << "changed, who knows when";
}

TEST_F(ListingCacheTest, SoIsOneOfADirectoryThatWasNotListedYet) {
  listings.changed(kDirectory, 12);
  listings.learn(kDirectory, 0, page(11));
  EXPECT_FALSE(knows(kDirectory));
  listings.learn(kDirectory, 0, page(13));
  EXPECT_TRUE(knows(kDirectory));
}

TEST_F(ListingCacheTest, ForgetsTheDirectoryThatWasUsedLeastRecently) {
  for (std::uint64_t i = 0; i < 8; ++i) listings.learn(InodeId{i}, 0, page(10, 100));
  EXPECT_TRUE(knows(InodeId{0}));
  for (std::uint64_t i = 8; i < 12; ++i) listings.learn(InodeId{i}, 0, page(10, 100));
  EXPECT_TRUE(knows(InodeId{0}));
  EXPECT_FALSE(knows(InodeId{1}));
  std::size_t known = 0;
  for (std::uint64_t i = 0; i < 12; ++i)
    if (knows(InodeId{i})) ++known;
  EXPECT_EQ(known, 9U) << "a thousand entries in all";
}

TEST_F(ListingCacheTest, RemembersChangesOfDirectoriesThatItForgot) {
  listings.learn(kDirectory, 0, page(10));
  listings.changed(kDirectory, 50);
  for (std::uint64_t i = 10; i < 30; ++i) listings.learn(InodeId{i}, 0, page(10, 200));
  listings.learn(kDirectory, 0, page(49));
  EXPECT_FALSE(knows(kDirectory));
  listings.learn(kDirectory, 0, page(51));
  EXPECT_TRUE(knows(kDirectory));
}

TEST_F(ListingCacheTest, ADirectoryLargerThanTheCacheStaysWithinIt) {
  listings.learn(kOther, 0, page(10, 100));
  std::size_t most = 0;
  for (std::uint64_t cookie = 0; cookie < 10'000; cookie += 100) {
    listings.learn(kDirectory, cookie, page(10, 100));
    std::size_t known = 0;
    for (std::uint64_t each = 0; each <= cookie; each += 100)
      if (knows(kDirectory, each)) ++known;
    EXPECT_TRUE(knows(kDirectory, cookie));
    most = std::max(most, known);
  }
  EXPECT_EQ(most, 9U);
}

}  // namespace
}  // namespace dfs
