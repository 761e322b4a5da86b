#include "common/kv/disk_reserve.h"

#include <gtest/gtest.h>

#include "common/base/ids.h"

namespace dfs {
namespace {

class DiskReserveTest : public testing::Test {
 protected:
  DiskReserve::Probe probe() {
    return [this]() -> Result<DiskReserve::Space> {
      ++asked_;
      return disk_;
    };
  }
  DiskReserve::Space disk_{.total_bytes = 100 * GiB, .free_bytes = 50 * GiB};
  int asked_ = 0;
};

TEST_F(DiskReserveTest, RefusesOnceOnlyTheReserveIsLeft) {
  DiskReserve reserve(probe(), MiB);
  disk_.free_bytes = MiB + 1000;
  EXPECT_EQ(reserve.room(), 1000u);
  EXPECT_TRUE(reserve.admit(1000));
  disk_.free_bytes = MiB;
  const auto refused = reserve.admit(1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::no_space);
}

TEST_F(DiskReserveTest, AdmitsAgainAsSoonAsThereIsRoom) {
  DiskReserve reserve(probe(), MiB);
  disk_.free_bytes = 0;
  EXPECT_FALSE(reserve.admit(1));
  EXPECT_FALSE(reserve.admit(1));
  disk_.free_bytes = 2 * MiB;
  EXPECT_TRUE(reserve.admit(1));
}

TEST_F(DiskReserveTest, AsksTheDiskOnlyEveryFewMegabytes) {
  DiskReserve reserve(probe(), MiB);
  for (int i = 0; i < 8 * 1024; ++i) ASSERT_TRUE(reserve.admit(KiB));
  EXPECT_LE(asked_, 3);
  EXPECT_GE(asked_, 2);
}

TEST_F(DiskReserveTest, TakesNoMoreThanASixteenthOfASmallDisk) {
  disk_ = {.total_bytes = 16 * MiB, .free_bytes = 10 * MiB};
  const DiskReserve reserve(probe(), GiB);
  EXPECT_EQ(reserve.room(), 9 * MiB);
}

TEST_F(DiskReserveTest, PassesOnThatTheDiskCannotBeAsked) {
  DiskReserve reserve(DiskReserve::disk_of("/nonexistent/disk"), MiB);
  EXPECT_EQ(reserve.admit(1).error().code, Errc::not_found);
}

TEST_F(DiskReserveTest, KnowsARealDisk) {
  const auto space = DiskReserve::disk_of("/")();
  ASSERT_TRUE(space);
  EXPECT_GT(space->total_bytes, 0u);
}

}  // namespace
}  // namespace dfs
