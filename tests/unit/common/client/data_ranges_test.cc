#include "common/client/data_ranges.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace dfs {
namespace {

constexpr auto kIgnore = [](const auto&) {};

class DataRangesTest : public ::testing::Test {
 protected:
  void dirty(std::uint64_t offset, std::uint64_t length) {
    dirty_.insert({offset, length, nullptr, 0}, kIgnore);
  }
  void committed(std::uint64_t offset, std::uint32_t length) {
    extents_.put({offset, length, ChunkId{GroupId{1}, ++serial_}, 0});
  }

  DirtyFile::Ranges dirty_;
  ExtentMap extents_;
  std::uint64_t serial_ = 0;
  const DataRanges ranges_{dirty_, extents_};
};

TEST_F(DataRangesTest, OfAFileWithoutAnyAreOneHole) {
  EXPECT_EQ(ranges_.next_data(0, 100), 100U);
  EXPECT_EQ(ranges_.next_hole(0, 100), 0U);
  EXPECT_EQ(ranges_.bytes(0, 100), 0U);
}

TEST_F(DataRangesTest, GoOnFromOneKindToTheOther) {
  committed(10, 10);
  dirty(20, 10);
  committed(30, 10);
  dirty(5, 7);
  EXPECT_EQ(ranges_.next_data(0, 100), 5U);
  EXPECT_EQ(ranges_.next_hole(7, 100), 40U);
  EXPECT_EQ(ranges_.bytes(0, 100), 35U);
  EXPECT_EQ(ranges_.bytes(8, 25), 17U);
  EXPECT_EQ(ranges_.next_hole(7, 30), 30U) << "not beyond what was asked for";
  EXPECT_EQ(ranges_.next_data(40, 100), 100U);
}

TEST_F(DataRangesTest, AgreeWithAByteByByteMap) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  std::vector<bool> model(300);
  for (int round = 0; round < 30; ++round) {
    const std::uint64_t offset = random() % 280;
    const std::uint32_t length = 1 + random() % 20;
    if (random() % 2) dirty(offset, length);
    else committed(offset, length);
    std::fill_n(model.begin() + static_cast<std::ptrdiff_t>(offset), length, true);
    const std::uint64_t end = 1 + random() % 300;
    const std::uint64_t from = random() % end;
    std::uint64_t data = from;
    while (data < end && !model[data]) ++data;
    std::uint64_t hole = from;
    while (hole < end && model[hole]) ++hole;
    ASSERT_EQ(ranges_.next_data(from, end), data);
    ASSERT_EQ(ranges_.next_hole(from, end), hole);
    ASSERT_EQ(ranges_.bytes(from, end),
              static_cast<std::uint64_t>(std::count(model.begin() + static_cast<std::ptrdiff_t>(from),
                                                    model.begin() + static_cast<std::ptrdiff_t>(end), true)));
  }
}

}  // namespace
}  // namespace dfs
