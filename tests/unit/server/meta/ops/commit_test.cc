#include "common/rpc/protocol.h"
#include "tests/unit/server/meta/ops/ops_fixture.h"

namespace dfs {
namespace {

class CommitTest : public OpsTest {
 protected:
  static CommitArgs commit_of(CommitFile file) {
    CommitArgs args;
    args.files.push_back(std::move(file));
    return args;
  }
  CommitArgs one(Extent extent) const {
    CommitFile file;
    file.inode = f_;
    file.extents.push_back(extent);
    return commit_of(std::move(file));
  }
  void punch(std::uint64_t offset, std::uint64_t length) {
    CommitFile file;
    file.inode = f_;
    file.holes.push_back({offset, length});
    must<CommitResult>(commit_of(std::move(file)));
  }
  InodeId f_ = file(kRootInode, "f");
};

TEST_F(CommitTest, MakesChunksPartOfAFile) {
  const Attributes before = stat(f_);
  const CommitResult result = write(f_, {{0, 100, nth(1), 0}});
  ASSERT_EQ(result.attributes.size(), 1U);
  EXPECT_EQ(result.attributes[0].size, 100U);
  EXPECT_EQ(result.attributes[0].allocated, 100U);
  EXPECT_GT(result.attributes[0].change, before.change);
  EXPECT_GT(result.attributes[0].data_change, before.data_change);
  ASSERT_NE(chunk(nth(1)), nullptr);
  EXPECT_EQ(chunk(nth(1))->length, 100U);
  EXPECT_EQ(chunk(nth(1))->references, 1U);
  EXPECT_EQ(totals_, (Totals{.inodes = 2, .chunks = 1, .chunk_bytes = 100, .garbage = totals_.garbage}));
}

TEST_F(CommitTest, DoesNothingToFilesThatAreNotAsTheyWere) {
  const InodeId other = file(kRootInode, "other");
  const std::uint64_t seen = stat(f_).data_change;
  CommitArgs args = one({0, 100, nth(1), 0});
  args.files[0].only_if = seen;
  args.files.push_back({.inode = other, .extents = {}, .holes = {}, .size_at_least = 5});
  must<CommitResult>(args);
  args.files[0].extents[0].chunk = nth(2);
  args.files[1].size_at_least = 9;
  EXPECT_EQ(error_of(args), Errc::stale_epoch);
  EXPECT_EQ(stat(other).size, 5U) << "nothing of the commit happens";
  EXPECT_EQ(extents(f_), (std::vector<Extent>{{0, 100, nth(1), 0}}));
}

TEST_F(CommitTest, ReplacesTheMiddleOfAnExtentBySplittingIt) {
  write(f_, {{0, 100, nth(1), 7}});
  commit();
  write(f_, {{40, 20, nth(2), 0}});
  EXPECT_EQ(extents(f_), (std::vector<Extent>{
                             {0, 40, nth(1), 7}, {40, 20, nth(2), 0}, {60, 40, nth(1), 67}}));
  EXPECT_EQ(chunk(nth(1))->references, 2U);
  EXPECT_EQ(stat(f_).allocated, 100U);
}

TEST_F(CommitTest, ReplacesPartsAndWholesOfSeveralExtents) {
  write(f_, {{0, 10, nth(1), 0}, {10, 10, nth(2), 0}, {20, 10, nth(3), 0}, {40, 10, nth(4), 0}});
  write(f_, {{5, 40, nth(5), 0}});
  EXPECT_EQ(extents(f_), (std::vector<Extent>{
                             {0, 5, nth(1), 0}, {5, 40, nth(5), 0}, {45, 5, nth(4), 5}}));
  EXPECT_TRUE(is_garbage(nth(2)));
  EXPECT_TRUE(is_garbage(nth(3)));
  EXPECT_FALSE(is_garbage(nth(1)));
  EXPECT_EQ(stat(f_).allocated, 50U);
}

TEST_F(CommitTest, PunchesHoles) {
  write(f_, {{0, 10, nth(1), 0}, {10, 10, nth(2), 0}, {20, 10, nth(3), 0}});
  punch(5, 20);
  EXPECT_EQ(extents(f_), (std::vector<Extent>{{0, 5, nth(1), 0}, {25, 5, nth(3), 5}}));
  EXPECT_TRUE(is_garbage(nth(2)));
  EXPECT_EQ(stat(f_).size, 30U);
  EXPECT_EQ(stat(f_).allocated, 10U);
  punch(26, 1);
  EXPECT_EQ(extents(f_).size(), 3U);
  punch(0, ~std::uint64_t{0});
  EXPECT_TRUE(extents(f_).empty());
  EXPECT_EQ(stat(f_).size, 30U);
  punch(kFileSizeMax, kFileSizeMax);
  punch(~std::uint64_t{0}, 0);
}

TEST_F(CommitTest, HolesComeBeforeTheExtentsOfTheSameCommit) {
  write(f_, {{0, 30, nth(1), 0}});
  CommitFile file;
  file.inode = f_;
  file.holes.push_back({0, 30});
  file.extents.push_back({10, 10, nth(2), 0});
  must<CommitResult>(commit_of(file));
  EXPECT_EQ(extents(f_), (std::vector<Extent>{{10, 10, nth(2), 0}}));
}

TEST_F(CommitTest, AChunkThatIsReplacedAndNamedAgainStays) {
  write(f_, {{0, 30, nth(1), 0}});
  write(f_, {{0, 30, nth(2), 0}, {0, 30, nth(1), 0}});
  EXPECT_EQ(extents(f_), (std::vector<Extent>{{0, 30, nth(1), 0}}));
  EXPECT_FALSE(is_garbage(nth(1)));
  EXPECT_TRUE(is_garbage(nth(2))) << "it was uploaded and nothing names it";
  EXPECT_EQ(totals_.chunks, 1U);
}

TEST_F(CommitTest, GrowsTheFileAndNeverShrinksIt) {
  CommitFile file;
  file.inode = f_;
  file.size_at_least = 1000;
  EXPECT_EQ(must<CommitResult>(commit_of(file)).attributes[0].size, 1000U);
  file.size_at_least = 10;
  EXPECT_EQ(must<CommitResult>(commit_of(file)).attributes[0].size, 1000U);
  write(f_, {{2000, 10, nth(1), 0}});
  EXPECT_EQ(stat(f_).size, 2010U);
  EXPECT_EQ(stat(f_).allocated, 10U);
}

TEST_F(CommitTest, TakesTheClientsTimeOfWriting) {
  const Attributes before = stat(f_);
  CommitFile file;
  file.inode = f_;
  file.extents.push_back({0, 10, nth(1), 0});
  Attributes after = must<CommitResult>(commit_of(file)).attributes[0];
  EXPECT_EQ(after.mtime, before.mtime);
  EXPECT_EQ(after.ctime, before.ctime);
  file.mtime = before.ctime + 500;
  after = must<CommitResult>(commit_of(file)).attributes[0];
  EXPECT_EQ(after.mtime, before.ctime + 500);
  EXPECT_EQ(after.ctime, before.ctime + 500);
  file.mtime = 3;
  after = must<CommitResult>(commit_of(file)).attributes[0];
  EXPECT_EQ(after.mtime, 3);
  EXPECT_EQ(after.ctime, before.ctime + 500) << "ctime does not go back";
}

TEST_F(CommitTest, ClearsSetIdBitsWhenAsked) {
  SetAttrArgs mode = change_of(f_);
  mode.mode = 06755;
  must<AttributesResult>(mode);
  CommitFile file;
  file.inode = f_;
  file.clear_set_id = true;
  const Attributes after = must<CommitResult>(commit_of(file)).attributes[0];
  EXPECT_EQ(after.mode, 0755U);
  EXPECT_EQ(after.ctime, context_.now);
}

TEST_F(CommitTest, ChangesSeveralFilesAndSkipsTheOnesThatAreGone) {
  const InodeId g = file(kRootInode, "g");
  const InodeId gone = file(kRootInode, "gone");
  must<RemovedResult>(UnlinkArgs{kRootInode, "gone"});
  CommitArgs args;
  args.files.push_back({gone, {{0, 10, nth(1), 0}, {10, 5, nth(2), 0}}, {}, 0, {}, false});
  args.files.push_back({f_, {{0, 10, nth(2), 5}}, {}, 0, {}, false});
  args.files.push_back({g, {{0, 10, nth(3), 0}}, {}, 0, {}, false});
  const CommitResult result = must<CommitResult>(args);
  ASSERT_EQ(result.attributes.size(), 2U);
  EXPECT_EQ(result.attributes[0].inode, f_);
  EXPECT_EQ(result.attributes[1].inode, g);
  EXPECT_TRUE(is_garbage(nth(1)));
  EXPECT_FALSE(is_garbage(nth(2))) << "another file names it";
  EXPECT_EQ(chunk(nth(2))->references, 1U);
  EXPECT_EQ(totals_.chunks, 2U);
}

TEST_F(CommitTest, OfAFileNobodyHoldsAnyMoreMakesGarbageAtOnce) {
  held_.held.insert(f_);
  must<RemovedResult>(UnlinkArgs{kRootInode, "f"});
  held_.held.clear();
  EXPECT_TRUE(must<CommitResult>(one({0, 10, nth(1), 0})).attributes.empty());
  EXPECT_TRUE(is_garbage(nth(1)));
}

TEST_F(CommitTest, DoesNotStartTheDeletionOfGarbageAnew) {
  write(f_, {{0, 10, nth(1), 0}});
  must<RemovedResult>(UnlinkArgs{kRootInode, "f"});
  (*txn_.edit<tables::Garbage>(nth(1)))->servers = {ServerId{3}};
  EXPECT_TRUE(must<CommitResult>(one({0, 10, nth(1), 0})).attributes.empty());
  EXPECT_EQ((*txn_.find<tables::Garbage>(nth(1)))->servers, std::vector<ServerId>{ServerId{3}});
}

TEST_F(CommitTest, NotesTheCopiesThatAreMissing) {
  CommitArgs args = one({0, 10, nth(1), 0});
  args.placements.push_back({nth(1), 10, {ServerId{2}, ServerId{3}, ServerId{99}}});
  args.placements.push_back({nth(2), 10, {ServerId{2}}});
  must<CommitResult>(args);
  const auto missing = [&](std::uint32_t server, std::uint64_t serial) {
    return *txn_.find<tables::Missing>({ServerId{server}, nth(serial)});
  };
  ASSERT_NE(missing(2, 1), nullptr);
  EXPECT_EQ(missing(2, 1)->length, 10U);
  EXPECT_NE(missing(3, 1), nullptr);
  EXPECT_EQ(missing(1, 1), nullptr);
  EXPECT_EQ(missing(99, 1), nullptr) << "not a member";
  EXPECT_EQ(missing(2, 2), nullptr) << "not in use";
  EXPECT_EQ(totals_.missing, 2U);
  EXPECT_EQ(totals_.missing_bytes, 20U);
  must<CommitResult>(args);
  EXPECT_EQ(totals_.missing, 2U) << "each once";
}

TEST_F(CommitTest, RefusesExtentsThatCannotBe) {
  EXPECT_EQ(error_of(one({0, 0, nth(1), 0})), Errc::invalid);
  EXPECT_EQ(error_of(one({kFileSizeMax, 1, nth(1), 0})), Errc::invalid);
  EXPECT_EQ(error_of(one({~std::uint64_t{0}, 1, nth(1), 0})), Errc::invalid);
  EXPECT_EQ(error_of(one({0, kChunkSizeMax + 1, nth(1), 0})), Errc::invalid);
  EXPECT_EQ(error_of(one({0, 2, nth(1), kChunkSizeMax - 1})), Errc::invalid);
  EXPECT_EQ(error_of(one({0, ~0U, nth(1), ~0U})), Errc::invalid);
  EXPECT_EQ(error_of(one({0, 1, nth(0), 0})), Errc::invalid);
  EXPECT_EQ(error_of(one({0, 1, ChunkId(GroupId{3}, 1), 0})), Errc::invalid);
  EXPECT_EQ(error_of(one({kFileSizeMax - 1, 1, nth(1), kChunkSizeMax - 1})), Errc::ok);
}

TEST_F(CommitTest, RefusesTheRestThatCannotBeAndLeavesNothing) {
  const InodeId g = file(kRootInode, "g");
  const Totals totals = totals_;
  CommitArgs args;
  args.files.push_back({g, {{0, 10, nth(1), 0}}, {}, 0, {}, false});
  args.files.push_back({kRootInode, {}, {}, 10, {}, false});
  EXPECT_EQ(error_of(args), Errc::invalid) << "a directory";
  EXPECT_EQ(totals_, totals);
  EXPECT_TRUE(extents(g).empty());
  EXPECT_EQ(chunk(nth(1)), nullptr);
  args.files[1] = {g, {}, {}, kFileSizeMax + 1, {}, false};
  EXPECT_EQ(error_of(args), Errc::file_too_big);
  args.files[1] = {g, {}, std::vector<FileRange>(kExtentsPerCommitMax), 0, {}, false};
  EXPECT_EQ(error_of(args), Errc::invalid) << "too many";
  args.files.pop_back();
  args.placements.push_back({ChunkId(GroupId{3}, 1), 10, {ServerId{1}}});
  EXPECT_EQ(error_of(args), Errc::invalid) << "a placement in an unknown group";
}

TEST_F(CommitTest, RefusesAChunkThatIsBeingDeleted) {
  write(f_, {{0, 10, nth(1), 0}});
  punch(0, 10);
  ASSERT_TRUE(is_garbage(nth(1)));
  EXPECT_EQ(error_of(one({0, 10, nth(1), 0})), Errc::stale);
}

TEST_F(CommitTest, AMiscountedChunkIsReportedAsCorrupt) {
  write(f_, {{0, 10, nth(1), 0}});
  txn_.erase<tables::Chunks>(nth(1));
  const Result<MetaResult> result = run(UnlinkArgs{kRootInode, "f"});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::corrupt);
  EXPECT_NE(result.error().text.find(to_string(nth(1))), std::string::npos);
  EXPECT_EQ(child(kRootInode, "f"), f_);
  txn_.put<tables::Chunks>(nth(1), {10, 1});
}

}  // namespace
}  // namespace dfs
