#include "tests/unit/server/meta/ops/ops_fixture.h"

namespace dfs {
namespace {

class AttributesTest : public OpsTest {
 protected:
  Attributes set(const SetAttrArgs& args) { return must<AttributesResult>(args).attributes; }
  SetAttrArgs size(std::uint64_t bytes) const {
    SetAttrArgs args = change_of(f_);
    args.size = bytes;
    return args;
  }
  InodeId f_ = file(kRootInode, "f");
};

TEST_F(AttributesTest, ChangeOnlyWhatIsAskedForAndTheTimeOfChange) {
  const Attributes before = stat(f_);
  SetAttrArgs args = change_of(f_);
  args.mode = 0100600;
  const Attributes after = set(args);
  EXPECT_EQ(after.mode, 0600U);
  EXPECT_EQ(after.uid, before.uid);
  EXPECT_EQ(after.atime, before.atime);
  EXPECT_EQ(after.mtime, before.mtime);
  EXPECT_EQ(after.ctime, context_.now);
  EXPECT_EQ(after.change, before.change + 1);
  EXPECT_EQ(after.data_change, before.data_change);
}

TEST_F(AttributesTest, TakeTimesAsGivenOrTheServersTime) {
  SetAttrArgs args = change_of(f_);
  args.atime = -5;
  args.mtime = 6;
  Attributes after = set(args);
  EXPECT_EQ(after.atime, -5);
  EXPECT_EQ(after.mtime, 6);
  EXPECT_EQ(after.ctime, context_.now);
  SetAttrArgs now = change_of(f_);
  now.atime_now = now.mtime_now = true;
  now.ctime = 7;
  after = set(now);
  EXPECT_EQ(after.atime, context_.now);
  EXPECT_EQ(after.mtime, context_.now);
  EXPECT_EQ(after.ctime, 7);
}

TEST_F(AttributesTest, AreAccessedWithoutAChangeThatAnybodyNotices) {
  const InodeId d = directory(kRootInode, "d");
  const Attributes before = stat(f_);
  must<EmptyResult>(TouchArgs{{{f_, before.atime, 77}, {d, stat(d).atime, 78}}});
  const Attributes after = stat(f_);
  EXPECT_EQ(after.atime, 77);
  EXPECT_EQ(stat(d).atime, 78);
  EXPECT_EQ(after.mtime, before.mtime);
  EXPECT_EQ(after.ctime, before.ctime);
  EXPECT_EQ(after.change, before.change);
  EXPECT_EQ(after.data_change, before.data_change);
}

TEST_F(AttributesTest, AnAccessDoesNotUndoAnAccessTimeThatWasSet) {
  const WallNanos seen = stat(f_).atime;
  SetAttrArgs args = change_of(f_);
  args.atime = 5;
  set(args);
  must<EmptyResult>(TouchArgs{{{f_, seen, 77}}});
  EXPECT_EQ(stat(f_).atime, 5);
  const TouchArgs touch{{{f_, 5, 78}}};
  must<EmptyResult>(touch);
  must<EmptyResult>(touch);
  EXPECT_EQ(stat(f_).atime, 78) << "told twice";
}

TEST_F(AttributesTest, AnAccessOfWhatIsGoneIsPassedOver) {
  must<EmptyResult>(TouchArgs{{{InodeId{99}, 0, 1}, {f_, stat(f_).atime, 77}}});
  EXPECT_EQ(stat(f_).atime, 77);
}

TEST_F(AttributesTest, AccessesAreDroppedWhileThereIsNoRoom) {
  class NoRoom final : public Room {
    Result<void> check() override { return fail(Errc::no_space); }
  } no_room;
  context_.room = &no_room;
  const WallNanos before = stat(f_).atime;
  must<EmptyResult>(TouchArgs{{{f_, before, 77}}});
  EXPECT_EQ(stat(f_).atime, before);
  context_.room = nullptr;
}

TEST_F(AttributesTest, ChownByAUserClearsSetIdBitsAndByRootDoesNot) {
  SetAttrArgs mode = change_of(f_);
  mode.mode = 06755;
  SetAttrArgs owner = change_of(f_);
  owner.gid = 500;
  set(mode);
  EXPECT_EQ(set(owner).mode, 0755U);
  set(mode);
  context_.caller = {0, 0};
  EXPECT_EQ(set(owner).mode, 06755U);
  owner.clear_set_id = true;
  EXPECT_EQ(set(owner).mode, 0755U);
}

TEST_F(AttributesTest, SetGidWithoutGroupExecuteIsNoSetIdBit) {
  SetAttrArgs mode = change_of(f_);
  mode.mode = 06744;
  set(mode);
  SetAttrArgs clear = change_of(f_);
  clear.clear_set_id = true;
  EXPECT_EQ(set(clear).mode, 02744U);
}

TEST_F(AttributesTest, DirectoriesKeepTheirBitsWhenTheirOwnerChanges) {
  const InodeId d = directory(kRootInode, "d");
  SetAttrArgs mode = change_of(d);
  mode.mode = 03775;
  set(mode);
  SetAttrArgs owner = change_of(d);
  owner.gid = 500;
  owner.clear_set_id = true;
  EXPECT_EQ(set(owner).mode, 03775U);
}

TEST_F(AttributesTest, AModeGivenTogetherWithAnOwnerStands) {
  SetAttrArgs args = change_of(f_);
  args.mode = 04755;
  args.uid = 5;
  const Attributes after = set(args);
  EXPECT_EQ(after.mode, 04755U);
  EXPECT_EQ(after.uid, 5U);
}

TEST_F(AttributesTest, ASmallerSizeCutsExtents) {
  write(f_, {{0, 100, nth(1), 0}, {100, 100, nth(2), 0}, {200, 100, nth(3), 0}});
  const Attributes after = set(size(150));
  EXPECT_EQ(after.size, 150U);
  EXPECT_EQ(after.allocated, 150U);
  EXPECT_EQ(after.mtime, context_.now);
  EXPECT_EQ(extents(f_), (std::vector<Extent>{{0, 100, nth(1), 0}, {100, 50, nth(2), 0}}));
  EXPECT_EQ(chunk(nth(2))->references, 1U);
  EXPECT_TRUE(is_garbage(nth(3)));
  set(size(100));
  EXPECT_TRUE(is_garbage(nth(2)));
  EXPECT_EQ(extents(f_).size(), 1U);
}

TEST_F(AttributesTest, ALargerSizeIsAHoleThatStaysAHole) {
  write(f_, {{0, 100, nth(1), 0}});
  set(size(50));
  const Attributes after = set(size(1 * TiB));
  EXPECT_EQ(after.size, 1 * TiB);
  EXPECT_EQ(after.allocated, 50U);
  EXPECT_EQ(extents(f_), (std::vector<Extent>{{0, 50, nth(1), 0}}));
}

TEST_F(AttributesTest, TheSameSizeMarksTheFileWithoutChangingItsData) {
  write(f_, {{0, 100, nth(1), 0}});
  const Attributes before = stat(f_);
  const Attributes after = set(size(100));
  EXPECT_EQ(after.mtime, context_.now);
  EXPECT_EQ(after.data_change, before.data_change);
  EXPECT_GT(set(size(99)).data_change, before.data_change);
}

TEST_F(AttributesTest, SizesHaveALimitAndBelongToRegularFiles) {
  EXPECT_EQ(set(size(kFileSizeMax)).size, kFileSizeMax);
  EXPECT_EQ(error_of(size(kFileSizeMax + 1)), Errc::file_too_big);
  SetAttrArgs args = change_of(kRootInode);
  args.size = 0;
  EXPECT_EQ(error_of(args), Errc::is_directory);
  args.inode = must(SymlinkArgs{kRootInode, "l", "x"}).attributes.inode;
  EXPECT_EQ(error_of(args), Errc::invalid);
  args.inode = InodeId{99};
  EXPECT_EQ(error_of(args), Errc::stale);
  EXPECT_EQ(error_of(GetAttrArgs{InodeId{99}}), Errc::stale);
}

TEST_F(AttributesTest, AFailedChangeLeavesNothingOfItself) {
  SetAttrArgs args = size(kFileSizeMax + 1);
  args.mode = 0777;
  const Attributes before = stat(f_);
  EXPECT_EQ(error_of(args), Errc::file_too_big);
  EXPECT_EQ(stat(f_).mode, before.mode);
  EXPECT_EQ(stat(f_).change, before.change);
}

TEST_F(AttributesTest, TheSizeOfADirectoryGrowsWithItsNames) {
  const InodeId d = directory(kRootInode, "d");
  EXPECT_EQ(stat(d).size, 4096U);
  for (int i = 0; i < 128; ++i) file(d, std::to_string(i));
  EXPECT_EQ(stat(d).size, 8192U);
}

}  // namespace
}  // namespace dfs
