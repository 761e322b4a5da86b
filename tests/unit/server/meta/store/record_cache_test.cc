#include "server/meta/store/record_cache.h"

#include <gtest/gtest.h>

namespace dfs {
namespace {

InodeRecord with_size(std::uint64_t size) {
  InodeRecord record;
  record.size = size;
  return record;
}

TEST(RecordCache, KnowsWhatItWasGiven) {
  RecordCache cache;
  auto& inodes = cache.of<tables::Inodes>();
  EXPECT_EQ(inodes.find(InodeId{1}), nullptr);
  inodes.keep(InodeId{1}, with_size(5));
  ASSERT_NE(inodes.find(InodeId{1}), nullptr);
  EXPECT_EQ((*inodes.find(InodeId{1}))->size, 5U);
  inodes.keep(InodeId{1}, with_size(6));
  EXPECT_EQ((*inodes.find(InodeId{1}))->size, 6U);
  EXPECT_EQ(inodes.rows(), 1U);
}

TEST(RecordCache, KnowsWhatIsAbsent) {
  RecordCache cache;
  auto& dirents = cache.of<tables::Dirents>();
  dirents.keep(NamedKey(InodeId{1}, "gone"), std::nullopt);
  ASSERT_NE(dirents.find({InodeId{1}, "gone"}), nullptr);
  EXPECT_FALSE(dirents.find({InodeId{1}, "gone"})->has_value());
  EXPECT_EQ(dirents.find({InodeId{2}, "gone"}), nullptr);
}

TEST(RecordCache, ForgetsTheLeastRecentlyUsedFirstAndOnlyWhenTrimmed) {
  RecordCache probe;
  probe.of<tables::Inodes>().keep(InodeId{1}, with_size(1));
  const std::size_t row_bytes = probe.of<tables::Inodes>().bytes();

  RecordCache cache({.inode_bytes_max = 3 * row_bytes, .dirent_bytes_max = 0});
  auto& inodes = cache.of<tables::Inodes>();
  for (std::uint64_t i = 1; i <= 4; ++i) inodes.keep(InodeId{i}, with_size(i));
  inodes.find(InodeId{1});
  EXPECT_EQ(inodes.rows(), 4U);

  cache.trim();
  EXPECT_EQ(inodes.rows(), 3U);
  EXPECT_LE(inodes.bytes(), 3 * row_bytes);
  EXPECT_NE(inodes.find(InodeId{1}), nullptr);
  EXPECT_EQ(inodes.find(InodeId{2}), nullptr);
}

TEST(RecordCache, CountsWhatLongNamesAndTargetsTake) {
  RecordCache cache({.inode_bytes_max = 10'000, .dirent_bytes_max = 10'000});
  for (std::uint64_t i = 1; i <= 100; ++i) {
    InodeRecord record;
    record.target.assign(4000, 'x');
    cache.of<tables::Inodes>().keep(InodeId{i}, record);
    cache.of<tables::Dirents>().keep(NamedKey(InodeId{i}, std::string(255, 'n')), std::nullopt);
  }
  cache.trim();
  EXPECT_EQ(cache.of<tables::Inodes>().rows(), 2U);
  EXPECT_LE(cache.of<tables::Dirents>().bytes(), 10'000U);
  EXPECT_GT(cache.of<tables::Dirents>().rows(), 10U);
  cache.clear();
  EXPECT_EQ(cache.of<tables::Inodes>().bytes(), 0U);
  EXPECT_EQ(cache.of<tables::Dirents>().rows(), 0U);
}

}  // namespace
}  // namespace dfs
