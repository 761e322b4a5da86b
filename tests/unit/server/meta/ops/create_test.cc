#include "tests/unit/server/meta/ops/ops_fixture.h"

namespace dfs {
namespace {

using CreateTest = OpsTest;

TEST_F(CreateTest, MakesAFileWithWhatItsCreatorAsked) {
  const EntryResult made = must(CreateArgs{kRootInode, "f", FileType::regular, 0640});
  const Attributes& file = made.attributes;
  EXPECT_EQ(file.type, FileType::regular);
  EXPECT_EQ(file.mode, 0640U);
  EXPECT_EQ(file.uid, kUser);
  EXPECT_EQ(file.gid, kUser);
  EXPECT_EQ(file.nlink, 1U);
  EXPECT_EQ(file.size, 0U);
  EXPECT_EQ(file.generation, 7U);
  EXPECT_EQ(file.chunk_size, 1 * MiB);
  EXPECT_EQ(file.atime, context_.now);
  EXPECT_EQ(file.mtime, context_.now);
  EXPECT_EQ(file.ctime, context_.now);
  EXPECT_EQ(file.btime, context_.now);
  EXPECT_EQ(child(kRootInode, "f"), file.inode);
  EXPECT_EQ(totals_.inodes, 2U);
}

TEST_F(CreateTest, MarksTheParentAndReturnsIt) {
  const Attributes before = stat(kRootInode);
  const EntryResult made = must(CreateArgs{kRootInode, "f"});
  ASSERT_TRUE(made.parent);
  EXPECT_EQ(made.parent->mtime, context_.now);
  EXPECT_EQ(made.parent->ctime, context_.now);
  EXPECT_EQ(made.parent->atime, before.atime);
  EXPECT_GT(made.parent->change, before.change);
  EXPECT_GT(made.parent->data_change, before.data_change);
  EXPECT_EQ(made.parent->nlink, 2U);
}

TEST_F(CreateTest, MakesDirectoriesThatCountAsLinksOfTheirParent) {
  const EntryResult made = must(CreateArgs{kRootInode, "d", FileType::directory, 0755});
  EXPECT_EQ(made.attributes.nlink, 2U);
  EXPECT_EQ(made.parent->nlink, 3U);
  EXPECT_EQ(made.attributes.chunk_size, 0U);
  EXPECT_EQ(child(made.attributes.inode, "."), made.attributes.inode);
  EXPECT_EQ(child(made.attributes.inode, ".."), kRootInode);
  EXPECT_EQ(child(kRootInode, ".."), kRootInode);
}

TEST_F(CreateTest, MakesSpecialFilesAndKeepsTheDeviceNumberOfDevicesOnly) {
  EXPECT_EQ(must(CreateArgs{kRootInode, "c", FileType::character_device, 0600, 77}).attributes.rdev,
            77U);
  EXPECT_EQ(must(CreateArgs{kRootInode, "b", FileType::block_device, 0600, 78}).attributes.rdev,
            78U);
  EXPECT_EQ(must(CreateArgs{kRootInode, "p", FileType::fifo, 0600, 79}).attributes.rdev, 0U);
  EXPECT_EQ(must(CreateArgs{kRootInode, "s", FileType::socket}).attributes.type, FileType::socket);
}

TEST_F(CreateTest, InASetGidDirectoryInheritsTheGroupAndDirectoriesTheBit) {
  const InodeId shared = directory(kRootInode, "shared");
  SetAttrArgs owner = change_of(shared);
  owner.gid = 500;
  owner.mode = 02775;
  must<AttributesResult>(owner);
  const Attributes inner = must(CreateArgs{shared, "d", FileType::directory, 0755}).attributes;
  EXPECT_EQ(inner.gid, 500U);
  EXPECT_EQ(inner.mode, 02755U);
  const Attributes plain = must(CreateArgs{shared, "f", FileType::regular, 0644}).attributes;
  EXPECT_EQ(plain.gid, 500U);
  EXPECT_EQ(plain.mode, 0644U);
  EXPECT_EQ(must(SymlinkArgs{shared, "l", "t"}).attributes.gid, 500U);
}

TEST_F(CreateTest, OpensWhatItMadeAndWhatIsThere) {
  CreateArgs args{kRootInode, "f", FileType::regular, 0644};
  args.open = true;
  const OpenResult made = must<OpenResult>(args);
  EXPECT_TRUE(made.created);
  EXPECT_TRUE(made.parent);
  EXPECT_TRUE(made.extents_complete);
  write(made.attributes.inode, {{0, 100, nth(1), 0}});

  const OpenResult opened = must<OpenResult>(args);
  EXPECT_FALSE(opened.created);
  EXPECT_EQ(opened.attributes.inode, made.attributes.inode);
  EXPECT_EQ(opened.attributes.size, 100U);
  EXPECT_EQ(opened.extents.size(), 1U);

  args.truncate = true;
  const OpenResult truncated = must<OpenResult>(args);
  EXPECT_EQ(truncated.attributes.size, 0U);
  EXPECT_TRUE(truncated.extents.empty());
  EXPECT_TRUE(is_garbage(nth(1)));
}

TEST_F(CreateTest, WithoutOpenAnswersWithTheFileThatIsThere) {
  const InodeId there = file(kRootInode, "f");
  EXPECT_EQ(must(CreateArgs{kRootInode, "f"}).attributes.inode, there);
}

TEST_F(CreateTest, RefusesANameThatIsTakenWhereItMustBeNew) {
  file(kRootInode, "f");
  directory(kRootInode, "d");
  must(SymlinkArgs{kRootInode, "l", "f"});
  CreateArgs exclusive{kRootInode, "f"};
  exclusive.exclusive = true;
  EXPECT_EQ(error_of(exclusive), Errc::exists);
  EXPECT_EQ(error_of(CreateArgs{kRootInode, "f", FileType::directory}), Errc::exists);
  EXPECT_EQ(error_of(CreateArgs{kRootInode, "d", FileType::fifo}), Errc::exists);
  EXPECT_EQ(error_of(CreateArgs{kRootInode, "d"}), Errc::is_directory);
  EXPECT_EQ(error_of(CreateArgs{kRootInode, "l"}), Errc::exists);
  EXPECT_EQ(error_of(CreateArgs{kRootInode, "."}), Errc::exists);
  EXPECT_EQ(error_of(CreateArgs{kRootInode, "..", FileType::directory}), Errc::exists);
  EXPECT_EQ(error_of(SymlinkArgs{kRootInode, "f", "x"}), Errc::exists);
  EXPECT_EQ(error_of(SymlinkArgs{kRootInode, ".", "x"}), Errc::exists);
}

TEST_F(CreateTest, RefusesWhatIsNoName) {
  EXPECT_EQ(error_of(CreateArgs{kRootInode, ""}), Errc::invalid);
  EXPECT_EQ(error_of(CreateArgs{kRootInode, "a/b"}), Errc::invalid);
  EXPECT_EQ(error_of(CreateArgs{kRootInode, std::string("a\0b", 3)}), Errc::invalid);
  EXPECT_EQ(error_of(CreateArgs{kRootInode, std::string(256, 'x')}), Errc::name_too_long);
  EXPECT_EQ(error_of(CreateArgs{kRootInode, std::string(255, 'x')}), Errc::ok);
  EXPECT_EQ(error_of(CreateArgs{kRootInode, " \n\xff"}), Errc::ok);
  EXPECT_EQ(error_of(LookupArgs{kRootInode, std::string(256, 'x')}), Errc::name_too_long);
  EXPECT_EQ(error_of(SymlinkArgs{kRootInode, "a/b", "x"}), Errc::invalid);
}

TEST_F(CreateTest, RefusesTypesItDoesNotMake) {
  EXPECT_EQ(error_of(CreateArgs{kRootInode, "l", FileType::symlink}), Errc::invalid);
  CreateArgs args{kRootInode, "p", FileType::fifo};
  args.open = true;
  EXPECT_EQ(error_of(args), Errc::invalid);
}

TEST_F(CreateTest, NeedsAParentThatIsADirectoryWithAName) {
  const InodeId f = file(kRootInode, "f");
  EXPECT_EQ(error_of(CreateArgs{f, "x"}), Errc::not_directory);
  EXPECT_EQ(error_of(LookupArgs{f, "x"}), Errc::not_directory);
  EXPECT_EQ(error_of(CreateArgs{InodeId{999}, "x"}), Errc::stale);
  EXPECT_EQ(error_of(LookupArgs{InodeId{999}, "x"}), Errc::stale);
  const InodeId d = directory(kRootInode, "d");
  held_.held.insert(d);
  must<RemovedResult>(UnlinkArgs{kRootInode, "d", true});
  EXPECT_EQ(error_of(CreateArgs{d, "x"}), Errc::not_found);
  EXPECT_EQ(error_of(SymlinkArgs{d, "x", "t"}), Errc::not_found);
  EXPECT_EQ(error_of(LookupArgs{d, "x"}), Errc::not_found);
}

TEST_F(CreateTest, RefusesASubdirectoryTooMany) {
  (*txn_.edit<tables::Inodes>(kRootInode))->nlink = ~0U;
  EXPECT_EQ(error_of(CreateArgs{kRootInode, "d", FileType::directory}), Errc::too_many_links);
  EXPECT_EQ(error_of(CreateArgs{kRootInode, "f"}), Errc::ok);
  (*txn_.edit<tables::Inodes>(kRootInode))->nlink = 2;
}

TEST_F(CreateTest, LeavesNothingWhenItFails) {
  const Attributes before = stat(kRootInode);
  const Totals totals = totals_;
  (*txn_.edit<tables::Inodes>(kRootInode))->nlink = ~0U;
  EXPECT_EQ(error_of(CreateArgs{kRootInode, "d", FileType::directory}), Errc::too_many_links);
  (*txn_.edit<tables::Inodes>(kRootInode))->nlink = 2;
  EXPECT_EQ(totals_, totals);
  EXPECT_EQ(stat(kRootInode).change, before.change);
  EXPECT_EQ(child(kRootInode, "d"), InodeId{});
  EXPECT_TRUE(list(kRootInode).empty());
}

TEST_F(CreateTest, SymlinksKeepTheirTargetAsItIs) {
  const EntryResult made = must(SymlinkArgs{kRootInode, "l", "../x y"});
  EXPECT_EQ(made.attributes.type, FileType::symlink);
  EXPECT_EQ(made.attributes.mode, 0777U);
  EXPECT_EQ(made.attributes.size, 6U);
  commit();
  cache_.clear();
  EXPECT_EQ(must<ReadlinkResult>(ReadlinkArgs{made.attributes.inode}).target, "../x y");
  EXPECT_EQ(must(SymlinkArgs{kRootInode, "long", std::string(4095, 'x')}).attributes.size, 4095U);
}

TEST_F(CreateTest, SymlinksRefuseTargetsThatCannotBe) {
  EXPECT_EQ(error_of(SymlinkArgs{kRootInode, "l", ""}), Errc::not_found);
  EXPECT_EQ(error_of(SymlinkArgs{kRootInode, "l", std::string(4096, 'x')}), Errc::name_too_long);
  EXPECT_EQ(error_of(SymlinkArgs{kRootInode, "l", std::string("a\0", 2)}), Errc::invalid);
  EXPECT_EQ(error_of(ReadlinkArgs{kRootInode}), Errc::invalid);
  EXPECT_EQ(error_of(ReadlinkArgs{InodeId{99}}), Errc::stale);
}

TEST_F(CreateTest, OperationsOfTheCoreAreNotRunHere) {
  EXPECT_EQ(error_of(StatFsArgs{}), Errc::internal);
  EXPECT_EQ(error_of(ReleaseArgs{kRootInode}), Errc::internal);
}

}  // namespace
}  // namespace dfs
