#include "common/rpc/protocol.h"
#include "tests/unit/server/meta/ops/ops_fixture.h"

namespace dfs {
namespace {

class OpenTest : public OpsTest {
 protected:
  // `count` extents of 10 bytes, one after another.
  void fill(std::uint64_t count) {
    std::vector<Extent> extents;
    for (std::uint64_t i = 0; i < count; ++i) extents.push_back({i * 10, 10, nth(i + 1), 0});
    write(f_, std::move(extents));
  }
  InodeId f_ = file(kRootInode, "f");
};

TEST_F(OpenTest, AnswersWithWhatAFirstReadNeeds) {
  EXPECT_TRUE(must<OpenResult>(OpenArgs{f_}).extents_complete);
  write(f_, {{0, 10, nth(1), 5}, {100, 10, nth(2), 0}});
  const OpenResult opened = must<OpenResult>(OpenArgs{f_});
  EXPECT_EQ(opened.attributes.size, 110U);
  EXPECT_EQ(opened.extents, (std::vector<Extent>{{0, 10, nth(1), 5}, {100, 10, nth(2), 0}}));
  EXPECT_TRUE(opened.extents_complete);
  EXPECT_FALSE(opened.created);
  EXPECT_FALSE(opened.parent);
}

TEST_F(OpenTest, BoundsTheExtentsItBrings) {
  fill(ops::kExtentsPerOpen);
  EXPECT_TRUE(must<OpenResult>(OpenArgs{f_}).extents_complete);
  write(f_, {{ops::kExtentsPerOpen * 10, 10, nth(9999), 0}});
  const OpenResult opened = must<OpenResult>(OpenArgs{f_});
  EXPECT_EQ(opened.extents.size(), ops::kExtentsPerOpen);
  EXPECT_FALSE(opened.extents_complete);
}

TEST_F(OpenTest, TruncatesRegularFilesOnly) {
  fill(3);
  const Attributes before = stat(f_);
  const Attributes after = must<OpenResult>(OpenArgs{f_, true}).attributes;
  EXPECT_EQ(after.size, 0U);
  EXPECT_EQ(after.allocated, 0U);
  EXPECT_EQ(after.mtime, context_.now);
  EXPECT_GT(after.data_change, before.data_change);
  EXPECT_TRUE(is_garbage(nth(1)));
  EXPECT_EQ(error_of(OpenArgs{kRootInode, true}), Errc::is_directory);
  EXPECT_EQ(error_of(OpenArgs{kRootInode, false}), Errc::ok);
  const InodeId p = must(CreateArgs{kRootInode, "p", FileType::fifo}).attributes.inode;
  EXPECT_EQ(error_of(OpenArgs{p, true}), Errc::invalid);
  EXPECT_EQ(error_of(OpenArgs{InodeId{99}}), Errc::stale);
}

TEST_F(OpenTest, ExtentsComeInPagesFromAnyOffset) {
  fill(10);
  const auto page = [&](std::uint64_t offset, std::uint32_t max) {
    return must<ExtentsResult>(GetExtentsArgs{f_, offset, max});
  };
  ExtentsResult result = page(0, 4);
  EXPECT_EQ(result.extents.size(), 4U);
  EXPECT_FALSE(result.complete);
  EXPECT_EQ(result.data_change, stat(f_).data_change);
  result = page(result.extents.back().end(), 6);
  EXPECT_EQ(result.extents.size(), 6U);
  EXPECT_TRUE(result.complete);

  result = page(55, 2);
  ASSERT_EQ(result.extents.size(), 2U);
  EXPECT_EQ(result.extents.front().file_offset, 50U) << "the one that holds the offset";
  EXPECT_FALSE(result.complete);
  result = page(95, 1);
  EXPECT_EQ(result.extents.size(), 1U);
  EXPECT_TRUE(result.complete);
  EXPECT_FALSE(page(85, 1).complete);
  EXPECT_TRUE(page(100, 5).extents.empty());
  EXPECT_TRUE(page(~std::uint64_t{0}, 5).complete);
  EXPECT_EQ(page(0, 0).extents.size(), 1U);
  EXPECT_EQ(error_of(GetExtentsArgs{InodeId{99}}), Errc::stale);
}

TEST_F(OpenTest, ExtentsOfAReplyAreBounded) {
  fill(kExtentsPerReplyMax + 1);
  const ExtentsResult result = must<ExtentsResult>(GetExtentsArgs{f_, 0, ~0U});
  EXPECT_EQ(result.extents.size(), kExtentsPerReplyMax);
  EXPECT_FALSE(result.complete);
}

TEST_F(OpenTest, AHeldOrphanCanBeOpenedAndRead) {
  fill(2);
  held_.held.insert(f_);
  must<RemovedResult>(UnlinkArgs{kRootInode, "f"});
  EXPECT_EQ(must<OpenResult>(OpenArgs{f_}).extents.size(), 2U);
}

}  // namespace
}  // namespace dfs
