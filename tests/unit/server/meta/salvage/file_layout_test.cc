#include "server/meta/salvage/file_layout.h"

#include <gtest/gtest.h>

#include <random>

namespace dfs {
namespace {

ChunkId chunk(std::uint64_t serial) { return {GroupId{1}, serial}; }
LaidChunk one(std::uint64_t serial, WallNanos written, std::uint64_t offset, std::uint32_t length) {
  return {chunk(serial), written, {{offset, length}}};
}

TEST(FileLayout, ShowsTheLaterOfTwoChunksAndWhatItLeavesOfTheEarlier) {
  FileLayout layout;
  layout.lay(one(1, 10, 0, 100));
  layout.lay(one(2, 20, 40, 20));
  EXPECT_EQ(layout.extents(), (std::vector<Extent>{{0, 40, chunk(1), 0},
                                                   {40, 20, chunk(2), 0},
                                                   {60, 40, chunk(1), 60}}));
  EXPECT_EQ(layout.size(), 100u);
  EXPECT_FALSE(layout.ambiguous());
}

TEST(FileLayout, LeavesHoles) {
  FileLayout layout;
  layout.lay(one(1, 10, 1'000, 10));
  EXPECT_EQ(layout.extents(), (std::vector<Extent>{{1'000, 10, chunk(1), 0}}));
  EXPECT_EQ(layout.size(), 1'010u);
}

TEST(FileLayout, PlacesEachRunOfAChunk) {
  FileLayout layout;
  layout.lay({chunk(1), 10, {{500, 10}, {kNowhere, 7}, {0, 20}, {505, 3}}});
  EXPECT_EQ(layout.extents(), (std::vector<Extent>{{0, 20, chunk(1), 17},
                                                   {500, 5, chunk(1), 0},
                                                   {505, 3, chunk(1), 37},
                                                   {508, 2, chunk(1), 8}}));
  EXPECT_FALSE(layout.ambiguous()) << "the runs of one chunk are in order";
}

TEST(FileLayout, SaysWhenItCannotKnowWhatIsLater) {
  FileLayout apart;
  apart.lay(one(1, 0, 0, 10));
  apart.lay(one(2, 0, 10, 10));
  EXPECT_FALSE(apart.ambiguous());
  FileLayout over;
  over.lay(one(1, 0, 0, 10));
  over.lay(one(2, 0, 5, 10));
  EXPECT_TRUE(over.ambiguous());
  FileLayout dated;
  dated.lay(one(1, 0, 0, 10));
  dated.lay(one(2, 7, 5, 10));
  EXPECT_FALSE(dated.ambiguous()) << "what has a time is later than what has none";
}

TEST(FileLayout, IsLaidInTheOrderOfTimeAndNotOfIds) {
  std::vector<LaidChunk> chunks{one(9, 10, 0, 1), one(1, 30, 0, 1), one(5, 0, 0, 1), one(2, 20, 0, 1)};
  sort_by_time(chunks);
  std::vector<std::uint64_t> order;
  for (const LaidChunk& each : chunks) order.push_back(each.chunk.serial());
  EXPECT_EQ(order, (std::vector<std::uint64_t>{5, 9, 2, 1}));
}

TEST(FileLayout, IsAsAPlainArrayOfBytesWouldBe) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  FileLayout layout;
  std::vector<std::pair<std::uint64_t, std::uint32_t>> bytes(1'000);  // serial, chunk offset
  for (std::uint64_t serial = 1; serial <= 300; ++serial) {
    LaidChunk laid{chunk(serial), static_cast<WallNanos>(serial), {}};
    std::uint32_t at = 0;
    for (unsigned runs = 1 + random() % 3; runs > 0; --runs) {
      const std::uint64_t offset = random() % 900;
      const std::uint32_t length = 1 + random() % 100;
      laid.runs.push_back({offset, length});
      for (std::uint32_t i = 0; i < length; ++i) bytes[offset + i] = {serial, at++};
    }
    layout.lay(laid);
  }
  std::vector<std::pair<std::uint64_t, std::uint32_t>> found(1'000);
  std::uint64_t end = 0;
  for (const Extent& extent : layout.extents()) {
    EXPECT_GE(extent.file_offset, end);
    for (std::uint32_t i = 0; i < extent.length; ++i)
      found[extent.file_offset + i] = {extent.chunk.serial(), extent.chunk_offset + i};
    end = extent.file_offset + extent.length;
  }
  EXPECT_EQ(found, bytes);
}

}  // namespace
}  // namespace dfs
