// Damage of names and inodes: what is said of it, and how it is mended.
#include "tests/unit/server/meta/fsck/fsck_fixture.h"

namespace dfs::fsck {
namespace {

TEST_F(FsckTest, SaysNothingOfAHealthyFileSystem) {
  EXPECT_EQ(check(), std::vector<std::string>{});
  stop();
  EXPECT_EQ(check(), std::vector<std::string>{});
  EXPECT_EQ(repair(), std::vector<std::string>{});
  EXPECT_EQ(summary.mended, 0U);
}

TEST_F(FsckTest, RemovesANameThatLeadsToNoInode) {
  stop();
  erase<tables::Inodes>(symlink);
  expect_mended({"/dir/symlink leads to inode"});
  EXPECT_EQ(child(directory, "symlink"), InodeId{});
  EXPECT_EQ(child(directory, "file"), file);
}

TEST_F(FsckTest, NamesAnewWhatLiesInADirectoryThatIsLost) {
  stop();
  erase<tables::Inodes>(directory);
  expect_mended({"/dir leads to inode", "the name sub of inode"});
  const InodeId home = child(kRootInode, "lost+found");
  EXPECT_EQ(child(home, "#" + std::to_string(sub.value())), sub);
  EXPECT_EQ(child(home, "#" + std::to_string(file.value())), file);
  EXPECT_EQ(child(kRootInode, "link"), file);
}

TEST_F(FsckTest, CorrectsTheTypeThatANameSays) {
  stop();
  damage<tables::Dirents>({directory, "file"}, [](auto& entry) { entry.type = FileType::fifo; });
  expect_mended({"/dir/file says another type than its inode"});
}

TEST_F(FsckTest, ListsANameThatIsNotListed) {
  stop();
  erase<tables::Listing>({directory, row<tables::Dirents>({directory, "file"}).cookie});
  expect_mended({"/dir/file is not listed in its directory"});
}

TEST_F(FsckTest, GivesANameBackThatIsOnlyListed) {
  stop();
  erase<tables::Dirents>({directory, "sub"});
  expect_mended({"/dir/sub is listed in its directory, but cannot be looked up"});
  EXPECT_EQ(child(directory, "sub"), sub);
}

TEST_F(FsckTest, MakesANameAnewWhoseRowDoesNotHold) {
  stop();
  spoil<tables::Dirents>({directory, "sub"});
  expect_mended({"the directory entry record at key D"});
  EXPECT_EQ(child(directory, "sub"), sub);
}

TEST_F(FsckTest, RemovesASecondListingEntryOfAName) {
  stop();
  auto entry = row<tables::Listing>({directory, row<tables::Dirents>({directory, "file"}).cookie});
  put<tables::Listing>({directory, 99}, entry);
  expect_mended({"/dir/file is listed in its directory, but cannot", "would give place 99"});
}

TEST_F(FsckTest, TellsTwoNamesAtOnePlaceOfTheListingApart) {
  stop();
  const std::uint64_t place = row<tables::Dirents>({directory, "file"}).cookie;
  damage<tables::Dirents>({directory, "sub"}, [&](auto& entry) { entry.cookie = place; });
  expect_mended({"/dir/sub is not listed"});
  EXPECT_EQ(child(directory, "sub"), sub);
  EXPECT_EQ(child(directory, "file"), file);
}

TEST_F(FsckTest, CorrectsWhatADirectoryCounts) {
  stop();
  damage<tables::Inodes>(directory, [](auto& record) {
    record.entries = 7;
    record.nlink = 9;
    record.next_cookie = 3;
  });
  expect_mended({"/dir counts 7 names, but has 3", "/dir counts 9 links, but with its subdirectories it has 3",
                 "/dir would give place"});
}

TEST_F(FsckTest, CorrectsTheLinksOfAFile) {
  stop();
  damage<tables::Inodes>(file, [](auto& record) { record.nlink = 1; });
  expect_mended({"counts 1 links, but has 2"});
  EXPECT_EQ(unlink(client, "link"), Errc::ok);
  EXPECT_EQ(stat(client, file), Errc::ok);
}

TEST_F(FsckTest, NamesAnewWhatHasLostItsNames) {
  stop();
  erase<tables::Listing>({directory, row<tables::Dirents>({directory, "sub"}).cookie});
  erase<tables::Dirents>({directory, "sub"});
  expect_mended({"has no name, but counts 2 links", "/dir counts 3 names, but has 2"});
  EXPECT_EQ(child(child(kRootInode, "lost+found"), "#" + std::to_string(sub.value())), sub);
}

TEST_F(FsckTest, RemembersAnInodeThatWasForgottenWhenItWasToBePurged) {
  stop();
  erase<tables::Orphans>(held);
  expect_mended({"has no name and does not wait to be purged"});
  EXPECT_TRUE(has<tables::Orphans>(held));
}

TEST_F(FsckTest, KeepsAFileThatWaitsToBePurgedAndHasAName) {
  stop();
  put<tables::Orphans>(file, {});
  put<tables::Orphans>(InodeId{999}, {});
  expect_mended({"/link waits to be purged, but has a name", "inode 999 waits to be purged, but there is none"});
  clock.advance(std::chrono::hours{1});
  tick();
  EXPECT_EQ(stat(client, file), Errc::ok);
}

TEST_F(FsckTest, TakesTheSecondNameOfADirectoryAway) {
  stop();
  damage<tables::Inodes>(kRootInode, [](auto& root) { ++root.entries, ++root.nlink; });
  put<tables::Dirents>({kRootInode, "again"}, {sub, FileType::directory, 77});
  put<tables::Listing>({kRootInode, 77}, {sub, FileType::directory, "again"});
  expect_mended({"has 2 names: /dir/sub and /again"});
  EXPECT_EQ(child(directory, "sub"), sub);
  EXPECT_EQ(child(kRootInode, "again"), InodeId{});
}

TEST_F(FsckTest, CorrectsTheParentOfADirectory) {
  stop();
  damage<tables::Inodes>(sub, [](auto& record) { record.parent = kRootInode; });
  expect_mended({"/dir/sub says that it lies in another directory"});
  EXPECT_EQ(child(sub, ".."), directory);
}

// As two renames would do that each moves one below the other.
TEST_F(FsckTest, BringsBackWhatLiesBelowItself) {
  const InodeId below = make(sub, "below", FileType::directory);
  stop();
  const auto entry = row<tables::Dirents>({kRootInode, "dir"});
  erase<tables::Dirents>({kRootInode, "dir"});
  erase<tables::Listing>({kRootInode, entry.cookie});
  damage<tables::Inodes>(kRootInode, [](auto& root) { --root.entries, --root.nlink; });
  put<tables::Dirents>({below, "dir"}, {directory, FileType::directory, 3});
  put<tables::Listing>({below, 3}, {directory, FileType::directory, "dir"});
  damage<tables::Inodes>(below, [](auto& record) { record.entries = 1, record.nlink = 3, record.next_cookie = 4; });
  damage<tables::Inodes>(directory, [&](auto& record) { record.parent = below; });
  const auto found = check();
  EXPECT_EQ(found.size(), 1U) << testing::PrintToString(found);
  expect_mended({"what is below it cannot be reached: it lies below itself"});
  const InodeId home = child(kRootInode, "lost+found");
  EXPECT_EQ(child(home, "#" + std::to_string(directory.value())), directory);
  EXPECT_EQ(child(sub, "below"), below);
  EXPECT_EQ(child(below, "dir"), InodeId{});
}

TEST_F(FsckTest, MakesTheRootAnew) {
  stop();
  erase<tables::Inodes>(kRootInode);
  expect_mended({"the root directory has no inode"});
  EXPECT_EQ(child(kRootInode, "dir"), directory);
}

TEST_F(FsckTest, LeavesAloneWhatHangsOnAnInodeThatCannotBeRead) {
  stop();
  spoil<tables::Inodes>(directory);
  expect_left("the inode record at key I");
  EXPECT_TRUE(has<tables::Dirents>({directory, "file"}));
  EXPECT_TRUE(has<tables::Dirents>({kRootInode, "dir"}));
}

}  // namespace
}  // namespace dfs::fsck
