#include "fuse/listing_fills.h"

#include <gtest/gtest.h>

#include <string>

namespace dfs::fuse {
namespace {

constexpr InodeId kDirectory{7};
constexpr OpenedDirectory kAnew{.may_keep = true, .is_kept = false};
constexpr OpenedDirectory kKept{.may_keep = true, .is_kept = true};

class ListingFillsTest : public ::testing::Test {
 protected:
  // "kept", "anew" (what is cached is forgotten first) or "past" the cache.
  std::string open(OpenedDirectory opened) {
    const OpenedDirectory now = fills.opened(kDirectory, opened);
    return now.is_kept ? "kept" : now.may_keep ? "anew" : "past";
  }
  ListingFills fills;
};

TEST_F(ListingFillsTest, ChangeNothingWhereNobodyFills) {
  EXPECT_EQ(open(kAnew), "anew");
  EXPECT_EQ(open(kKept), "kept");
  EXPECT_EQ(open({}), "past");
}

TEST_F(ListingFillsTest, UnderOneLeaseAreWhatIsKept) {
  fills.begin(kDirectory);
  EXPECT_EQ(open(kKept), "kept");
  fills.end(kDirectory);
  EXPECT_EQ(open(kKept), "kept");
}

TEST_F(ListingFillsTest, FromBeforeAreNotShownAndForgottenOnce) {
  fills.begin(kDirectory);
  fills.begin(kDirectory);
  EXPECT_EQ(open(kAnew), "past");
  EXPECT_EQ(open(kKept), "past") << "what the engine knows is right, what the kernel has is not";
  fills.end(kDirectory);
  EXPECT_EQ(open(kKept), "past");
  fills.end(kDirectory);
  EXPECT_EQ(open(kKept), "anew");
  EXPECT_EQ(open(kKept), "kept");
}

TEST_F(ListingFillsTest, OfOtherDirectoriesDoNotCount) {
  fills.begin(InodeId{8});
  EXPECT_EQ(open(kAnew), "anew");
}

}  // namespace
}  // namespace dfs::fuse
