#include "server/meta/store/keys.h"

#include <gtest/gtest.h>

#include "server/meta/store/tables.h"

namespace dfs {
namespace {

template <typename Table>
std::string raw_of(typename Table::View key) {
  std::string raw;
  raw_key<Table>(raw, key);
  return raw;
}

TEST(Keys, SortAsTheirNumbersDo) {
  EXPECT_LT(raw_of<tables::Inodes>(InodeId{255}), raw_of<tables::Inodes>(InodeId{256}));
  EXPECT_LT(raw_of<tables::Inodes>(InodeId{1}), raw_of<tables::Inodes>(InodeId{~std::uint64_t{0}}));
  EXPECT_LT(raw_of<tables::Extents>({InodeId{7}, kFileSizeMax}),
            raw_of<tables::Extents>({InodeId{8}, 0}));
  EXPECT_LT(raw_of<tables::Listing>({InodeId{7}, 255}), raw_of<tables::Listing>({InodeId{7}, 256}));
  EXPECT_LT(raw_of<tables::Chunks>(ChunkId(GroupId{1}, ChunkId::kSerialMax)),
            raw_of<tables::Chunks>(ChunkId(GroupId{2}, 1)));
  EXPECT_LT(raw_of<tables::Missing>({ServerId{2}, ChunkId{~std::uint64_t{0}}}),
            raw_of<tables::Missing>({ServerId{3}, ChunkId{}}));
}

TEST(Keys, NeverMixTheNamesOfTwoDirectories) {
  EXPECT_LT(raw_of<tables::Dirents>({InodeId{1}, std::string(255, '\xff')}),
            raw_of<tables::Dirents>({InodeId{2}, "a"}));
}

TEST(Keys, HaveTheDocumentedForm) {
  const std::string expected("D\0\0\0\0\0\0\1\2name", 13);
  EXPECT_EQ(raw_of<tables::Dirents>({InodeId{258}, "name"}), expected);
  EXPECT_EQ(raw_of<tables::Cluster>({}), "cluster");
  EXPECT_EQ(raw_of<tables::Groups>(GroupId{3}), std::string("P\0\0\0\3", 5));
}

template <typename Table>
void expect_round_trip(typename Table::Key key) {
  typename Table::Key parsed;
  const std::string raw = raw_of<Table>(key);
  ASSERT_TRUE(parse_row_key<Table>(raw, parsed));
  EXPECT_EQ(raw_of<Table>(parsed), raw);
}

TEST(Keys, AreReadBackAsTheyWereWritten) {
  expect_round_trip<tables::Inodes>(InodeId{0x1122334455667788});
  expect_round_trip<tables::Dirents>({InodeId{4}, "a name"});
  expect_round_trip<tables::Listing>({InodeId{4}, 77});
  expect_round_trip<tables::Extents>({InodeId{4}, kFileSizeMax});
  expect_round_trip<tables::Xattrs>({InodeId{4}, "user.x"});
  expect_round_trip<tables::Chunks>(ChunkId(GroupId{9}, 10));
  expect_round_trip<tables::Servers>(ServerId{5});
  expect_round_trip<tables::Missing>({ServerId{5}, ChunkId(GroupId{9}, 10)});
  expect_round_trip<tables::Replies>({SessionId{5}, Sequence{6}});
  expect_round_trip<tables::Cluster>({});
}

TEST(Keys, OfTheWrongLengthAreCorruptAndNamed) {
  InodeId inode;
  const Result<void> parsed = parse_row_key<tables::Inodes>(std::string("I\0\1", 3), inode);
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().code, Errc::corrupt);
  EXPECT_NE(parsed.error().text.find("inode record at key I 0001"), std::string::npos);
  NamedKey entry;
  EXPECT_FALSE(parse_row_key<tables::Dirents>(std::string("D\0\0\0\0\0\0\0\1", 9), entry));
}

}  // namespace
}  // namespace dfs
