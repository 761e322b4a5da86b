// Listings that a kernel has kept, as long as they are true.
#include "common/client/shown_listings.h"

#include <gtest/gtest.h>

#include "tests/support/fake_clock.h"

namespace dfs {
namespace {

constexpr InodeId kDirectory{2};

class ShownListingsTest : public ::testing::Test {
 protected:
  ShownListingsTest() {
    gate.welcomed({.order = 0, .lost = {}, .lease_time = std::chrono::seconds(20)});
    gate.confirmed(clock.now());
  }
  void take_away(std::uint64_t order) {
    gate.recall({kDirectory, LeaseKind::none}, order);
    gate.settled(kDirectory, LeaseKind::none);
  }

  FakeClock clock;
  LeaseGate gate{clock};
  ShownListings shown{gate, 100};
};

TEST_F(ShownListingsTest, KnowsThatAListingUnderOneLeaseIsTrueStill) {
  EXPECT_FALSE(shown.opened(kDirectory)) << "nothing was told";
  gate.granted(kDirectory, LeaseKind::read, 10);
  shown.told(kDirectory, 10);
  gate.granted(kDirectory, LeaseKind::read, 11);
  shown.told(kDirectory, 11);
  EXPECT_TRUE(shown.opened(kDirectory));
  EXPECT_TRUE(shown.opened(kDirectory)) << "by whoever comes next";
  gate.recall({kDirectory, LeaseKind::none}, 12);
  EXPECT_FALSE(shown.opened(kDirectory)) << "somebody is about to change it";
}

TEST_F(ShownListingsTest, DoesNotTrustALeaseThatCameAfterwards) {
  gate.granted(kDirectory, LeaseKind::read, 10);
  EXPECT_FALSE(shown.opened(kDirectory));
  shown.told(kDirectory, 10);
  take_away(12);
  gate.granted(kDirectory, LeaseKind::read, 13);
  EXPECT_FALSE(shown.opened(kDirectory));
  shown.told(kDirectory, 13);
  EXPECT_TRUE(shown.opened(kDirectory)) << "told anew";
}

TEST_F(ShownListingsTest, DoesNotTrustPartsThatWereToldUnderTwoLeases) {
  EXPECT_FALSE(shown.opened(kDirectory));
  gate.granted(kDirectory, LeaseKind::read, 10);
  shown.told(kDirectory, 10);
  take_away(12);
  gate.granted(kDirectory, LeaseKind::read, 13);
  shown.told(kDirectory, 13);
  EXPECT_FALSE(shown.opened(kDirectory));
}

TEST_F(ShownListingsTest, DoesNotTrustWhatWasToldUnderNone) {
  EXPECT_FALSE(shown.opened(kDirectory));
  shown.told(kDirectory, 9);
  gate.granted(kDirectory, LeaseKind::read, 10);
  shown.told(kDirectory, 9);
  shown.told(kDirectory, 10);
  EXPECT_FALSE(shown.opened(kDirectory)) << "the first part may be older";
  shown.told(kDirectory, 10);
  EXPECT_TRUE(shown.opened(kDirectory));
  shown.forgotten(kDirectory);
  EXPECT_FALSE(shown.opened(kDirectory));
}

TEST_F(ShownListingsTest, IsBounded) {
  for (std::uint64_t number = 0; number < 200; ++number) {
    gate.granted(InodeId{number}, LeaseKind::read, 10);
    shown.opened(InodeId{number});
    shown.told(InodeId{number}, 10);
  }
  std::size_t known = 0;
  for (std::uint64_t number = 0; number < 200; ++number) known += shown.opened(InodeId{number});
  EXPECT_LE(known, 100U);
}

}  // namespace
}  // namespace dfs
