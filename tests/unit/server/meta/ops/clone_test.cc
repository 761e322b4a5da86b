#include "tests/unit/server/meta/ops/ops_fixture.h"

namespace dfs {
namespace {

class CloneTest : public OpsTest {
 protected:
  CloneArgs from_to(InodeId source, std::uint64_t source_offset, InodeId target,
                    std::uint64_t offset, std::uint64_t length) const {
    return {source, source_offset, target, offset, length, context_.now, false};
  }
  std::uint64_t clone(const CloneArgs& args) { return must<CloneResult>(args).length; }
  void resize(InodeId inode, std::uint64_t size) {
    SetAttrArgs args = change_of(inode);
    args.size = size;
    must<AttributesResult>(args);
  }

  InodeId a_ = file(kRootInode, "a");
  InodeId b_ = file(kRootInode, "b");
};

TEST_F(CloneTest, MakesBothFilesNameTheSameChunks) {
  write(a_, {{0, 100, nth(1), 7}, {100, 50, nth(2), 0}});
  commit();
  EXPECT_EQ(clone(from_to(a_, 0, b_, 0, 150)), 150U);
  EXPECT_EQ(extents(b_), extents(a_));
  EXPECT_EQ(chunk(nth(1))->references, 2U);
  EXPECT_EQ(stat(b_).size, 150U);
  EXPECT_EQ(stat(b_).allocated, 150U);
  EXPECT_EQ(totals_.chunks, 2U) << "no new chunk";
  EXPECT_EQ(totals_.chunk_bytes, 157U);
}

TEST_F(CloneTest, LeavesEachSideAloneWhenTheOtherIsOverwritten) {
  write(a_, {{0, 100, nth(1), 0}});
  clone(from_to(a_, 0, b_, 0, 100));
  write(a_, {{20, 10, nth(2), 0}});
  write(b_, {{50, 10, nth(3), 0}});
  EXPECT_EQ(extents(a_), (std::vector<Extent>{
                             {0, 20, nth(1), 0}, {20, 10, nth(2), 0}, {30, 70, nth(1), 30}}));
  EXPECT_EQ(extents(b_), (std::vector<Extent>{
                             {0, 50, nth(1), 0}, {50, 10, nth(3), 0}, {60, 40, nth(1), 60}}));
}

TEST_F(CloneTest, MakesAChunkGarbageOnlyWhenNoFileNamesIt) {
  write(a_, {{0, 100, nth(1), 0}});
  clone(from_to(a_, 10, b_, 0, 20));
  must<RemovedResult>(UnlinkArgs{kRootInode, "a"});
  EXPECT_FALSE(is_garbage(nth(1)));
  EXPECT_EQ(chunk(nth(1))->references, 1U);
  must<RemovedResult>(UnlinkArgs{kRootInode, "b"});
  EXPECT_TRUE(is_garbage(nth(1)));
  EXPECT_EQ(totals_.chunks, 0U);
}

TEST_F(CloneTest, TakesPartsOfChunksAndTheHolesBetweenThem) {
  write(a_, {{10, 10, nth(1), 5}, {40, 20, nth(2), 0}});
  resize(a_, 100);
  write(b_, {{0, 200, nth(3), 0}});
  EXPECT_EQ(clone(from_to(a_, 15, b_, 100, 50)), 50U);
  EXPECT_EQ(extents(b_), (std::vector<Extent>{{0, 100, nth(3), 0},
                                              {100, 5, nth(1), 10},
                                              {125, 20, nth(2), 0},
                                              {150, 50, nth(3), 150}}));
  EXPECT_EQ(stat(b_).size, 200U);
}

TEST_F(CloneTest, EndsWithItsSource) {
  write(a_, {{0, 100, nth(1), 0}});
  resize(a_, 130);
  EXPECT_EQ(clone(from_to(a_, 90, b_, 1000, 500)), 40U);
  EXPECT_EQ(extents(b_), (std::vector<Extent>{{1000, 10, nth(1), 90}}));
  EXPECT_EQ(stat(b_).size, 1040U) << "the hole at the end counts";
  const std::uint64_t change = stat(b_).change;
  EXPECT_EQ(clone(from_to(a_, 130, b_, 0, 1)), 0U);
  EXPECT_EQ(clone(from_to(a_, kFileSizeMax, b_, 0, kFileSizeMax)), 0U);
  EXPECT_EQ(stat(b_).change, change) << "nothing happened";
}

TEST_F(CloneTest, WorksWithinOneFileUnlessTheRangesOverlap) {
  write(a_, {{0, 100, nth(1), 0}});
  EXPECT_EQ(clone(from_to(a_, 0, a_, 50, 50)), 50U);
  EXPECT_EQ(extents(a_), (std::vector<Extent>{{0, 50, nth(1), 0}, {50, 50, nth(1), 0}}));
  EXPECT_EQ(error_of(from_to(a_, 0, a_, 49, 50)), Errc::invalid);
  EXPECT_EQ(error_of(from_to(a_, 50, a_, 1, 50)), Errc::invalid);
  EXPECT_EQ(error_of(from_to(a_, 0, a_, 0, 1)), Errc::invalid);
  // Only what the source has counts.
  EXPECT_EQ(clone(from_to(a_, 90, a_, 100, 50)), 10U);
}

TEST_F(CloneTest, OfPieceAfterPieceDoesNotLieInPieces) {
  write(a_, {{0, 1000, nth(1), 0}, {1000, 500, nth(2), 0}});
  for (std::uint64_t at = 0; at < 1500; at += 100) clone(from_to(a_, at, b_, at, 100));
  EXPECT_EQ(extents(b_), extents(a_));
  EXPECT_EQ(chunk(nth(1))->references, 2U);
  EXPECT_EQ(stat(b_).allocated, 1500U);
}

TEST_F(CloneTest, OfVeryManyExtentsIsShorterThanAsked) {
  constexpr auto kMany = static_cast<std::uint32_t>(ops::kExtentsPerCloneMax);
  std::vector<Extent> scattered;
  for (std::uint32_t i = 0; i < kMany + 10; ++i) scattered.push_back({i * 10U, 5, nth(1), i * 5U});
  write(a_, scattered);
  const std::uint64_t whole = stat(a_).size;
  EXPECT_EQ(clone(from_to(a_, 0, b_, 0, whole)), (kMany - 1) * 10U + 5);
  EXPECT_EQ(extents(b_).size(), kMany);
  const std::uint64_t rest = stat(b_).size;
  EXPECT_EQ(clone(from_to(a_, rest, b_, rest, whole)), whole - rest);
  EXPECT_EQ(extents(b_), scattered);

  // As many are replaced at most.
  const InodeId c = file(kRootInode, "c");
  write(c, {{0, static_cast<std::uint32_t>(whole), nth(2), 0}});
  EXPECT_EQ(clone(from_to(c, 0, b_, 0, whole)), (kMany - 1) * 10U + 5);
}

TEST_F(CloneTest, TakesTheClientsTimeAndClearsSetIdBits) {
  write(a_, {{0, 100, nth(1), 0}});
  SetAttrArgs mode = change_of(b_);
  mode.mode = 06755;
  must<AttributesResult>(mode);
  const Attributes source = stat(a_);
  const Attributes before = stat(b_);
  CloneArgs args = from_to(a_, 0, b_, 0, 10);
  args.mtime = before.ctime + 500;
  args.clear_set_id = true;
  const Attributes after = must<CloneResult>(args).attributes;
  EXPECT_EQ(after.mode, 0755U);
  EXPECT_EQ(after.mtime, before.ctime + 500);
  EXPECT_EQ(after.ctime, before.ctime + 500);
  EXPECT_EQ(after.data_change, before.data_change + 1);
  EXPECT_GT(after.change, before.change);
  EXPECT_EQ(stat(a_).change, source.change) << "the source is as it was";
}

TEST_F(CloneTest, RefusesWhatIsNoFileAndWhatIsTooBig) {
  write(a_, {{0, 100, nth(1), 0}});
  const InodeId fifo = must(CreateArgs{kRootInode, "fifo", FileType::fifo, 0644}).attributes.inode;
  EXPECT_EQ(error_of(from_to(kRootInode, 0, b_, 0, 1)), Errc::is_directory);
  EXPECT_EQ(error_of(from_to(a_, 0, kRootInode, 0, 1)), Errc::is_directory);
  EXPECT_EQ(error_of(from_to(fifo, 0, b_, 0, 1)), Errc::invalid);
  EXPECT_EQ(error_of(from_to(a_, 0, fifo, 0, 1)), Errc::invalid);
  EXPECT_EQ(error_of(from_to(a_, 0, InodeId{999}, 0, 1)), Errc::stale);
  EXPECT_EQ(error_of(from_to(InodeId{999}, 0, b_, 0, 1)), Errc::stale);
  EXPECT_EQ(error_of(from_to(a_, 0, b_, kFileSizeMax - 99, 100)), Errc::file_too_big);
  EXPECT_EQ(clone(from_to(a_, 0, b_, kFileSizeMax - 100, 100)), 100U);
  EXPECT_EQ(stat(b_).size, kFileSizeMax);
}

TEST_F(CloneTest, IsRefusedBetweenFilesWithDifferentNumbersOfCopies) {
  write(a_, {{0, 100, nth(1), 0}});
  context_.caller = {};
  must<AttributesResult>(SetPolicyArgs{b_, 1, 0});
  EXPECT_EQ(error_of(from_to(a_, 0, b_, 0, 100)), Errc::unsupported);
}

TEST_F(CloneTest, OfAFileThatLostItsNameWorksWhileItIsHeld) {
  write(a_, {{0, 100, nth(1), 0}});
  held_.held.insert(a_);
  must<RemovedResult>(UnlinkArgs{kRootInode, "a"});
  EXPECT_EQ(clone(from_to(a_, 0, b_, 0, 100)), 100U);
  held_.held.clear();
  ASSERT_TRUE(purge_orphan(txn_, context_, a_));
  EXPECT_FALSE(is_garbage(nth(1)));
}

}  // namespace
}  // namespace dfs
