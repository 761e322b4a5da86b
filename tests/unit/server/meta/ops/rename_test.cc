#include "tests/unit/server/meta/ops/ops_fixture.h"

namespace dfs {
namespace {

class RenameTest : public OpsTest {
 protected:
  static RenameArgs move(InodeId parent, std::string name, InodeId new_parent,
                         std::string new_name) {
    return {parent, std::move(name), new_parent, std::move(new_name), false, false};
  }
  static RenameArgs swap(InodeId parent, std::string name, InodeId new_parent,
                         std::string new_name) {
    return {parent, std::move(name), new_parent, std::move(new_name), false, true};
  }
  InodeId a_ = directory(kRootInode, "a");
  InodeId b_ = directory(kRootInode, "b");
};

TEST_F(RenameTest, MovesAFileToAnotherDirectory) {
  const InodeId f = file(a_, "f");
  const RemovedResult result = must<RemovedResult>(move(a_, "f", b_, "g"));
  EXPECT_EQ(child(a_, "f"), InodeId{});
  EXPECT_EQ(child(b_, "g"), f);
  EXPECT_FALSE(result.removed);
  EXPECT_EQ(result.moved->inode, f);
  EXPECT_EQ(result.moved->ctime, context_.now - 2);  // two lookups since
  EXPECT_LT(result.moved->mtime, result.moved->ctime);
  EXPECT_EQ(result.parent.inode, a_);
  EXPECT_EQ(result.parent.mtime, result.moved->ctime);
  ASSERT_TRUE(result.new_parent);
  EXPECT_EQ(result.new_parent->inode, b_);
  EXPECT_EQ(result.new_parent->mtime, result.moved->ctime);
}

TEST_F(RenameTest, WithinOneDirectoryKeepsThePlaceInTheListing) {
  file(a_, "1");
  file(a_, "2");
  file(a_, "3");
  const RemovedResult result = must<RemovedResult>(move(a_, "1", a_, "z"));
  EXPECT_FALSE(result.new_parent);
  EXPECT_EQ(list(a_), (std::vector<std::string>{"z", "2", "3"}));
}

TEST_F(RenameTest, MovesADirectoryWithItsLinkCountAndParent) {
  const InodeId d = directory(a_, "d");
  const RemovedResult result = must<RemovedResult>(move(a_, "d", b_, "d"));
  EXPECT_EQ(result.parent.nlink, 2U);
  EXPECT_EQ(result.new_parent->nlink, 3U);
  EXPECT_EQ(child(d, ".."), b_);
}

TEST_F(RenameTest, ReplacesAFile) {
  const InodeId f = file(a_, "f");
  const InodeId g = file(b_, "g");
  write(g, {{0, 10, nth(1), 0}});
  const RemovedResult result = must<RemovedResult>(move(a_, "f", b_, "g"));
  EXPECT_EQ(result.removed->inode, g);
  EXPECT_EQ(result.removed->nlink, 0U);
  EXPECT_EQ(child(b_, "g"), f);
  EXPECT_EQ(error_of(GetAttrArgs{g}), Errc::stale);
  EXPECT_TRUE(is_garbage(nth(1)));
}

TEST_F(RenameTest, ReplacesWithinOneDirectory) {
  const InodeId f = file(a_, "f");
  file(a_, "g");
  file(a_, "h");
  must<RemovedResult>(move(a_, "f", a_, "g"));
  EXPECT_EQ(child(a_, "g"), f);
  EXPECT_EQ(list(a_), (std::vector<std::string>{"g", "h"}));
}

TEST_F(RenameTest, ANameThatIsReplacedKeepsItsPlaceInTheListing) {
  for (const char* name : {"1", "2", "3"}) file(a_, name);
  file(b_, "from-elsewhere");
  must<RemovedResult>(move(a_, "1", a_, "3"));
  EXPECT_EQ(list(a_), (std::vector<std::string>{"2", "3"}));
  must<RemovedResult>(move(b_, "from-elsewhere", a_, "2"));
  EXPECT_EQ(list(a_), (std::vector<std::string>{"2", "3"}));
}

TEST_F(RenameTest, AReplacedFileThatIsHeldOrLinkedStays) {
  file(a_, "f");
  const InodeId g = file(a_, "g");
  held_.held.insert(g);
  EXPECT_EQ(must<RemovedResult>(move(a_, "f", a_, "g")).removed->nlink, 0U);
  EXPECT_TRUE(is_orphan(g));
  const InodeId h = file(a_, "h");
  must(LinkArgs{h, b_, "h2"});
  EXPECT_EQ(must<RemovedResult>(move(a_, "g", a_, "h")).removed->nlink, 1U);
  EXPECT_EQ(child(b_, "h2"), h);
}

TEST_F(RenameTest, ReplacesAnEmptyDirectoryByADirectory) {
  const InodeId d = directory(a_, "d");
  const InodeId e = directory(b_, "e");
  const RemovedResult result = must<RemovedResult>(move(a_, "d", b_, "e"));
  EXPECT_EQ(result.removed->inode, e);
  EXPECT_EQ(result.removed->nlink, 0U);
  EXPECT_EQ(result.parent.nlink, 2U);
  EXPECT_EQ(result.new_parent->nlink, 3U);
  EXPECT_EQ(child(b_, "e"), d);
}

TEST_F(RenameTest, RefusesTargetsThatCannotBeReplaced) {
  file(a_, "f");
  const InodeId d = directory(a_, "d");
  file(b_, "g");
  const InodeId e = directory(b_, "e");
  file(e, "inside");
  EXPECT_EQ(error_of(move(a_, "f", b_, "e")), Errc::is_directory);
  EXPECT_EQ(error_of(move(a_, "d", b_, "g")), Errc::not_directory);
  EXPECT_EQ(error_of(move(a_, "d", b_, "e")), Errc::not_empty);
  EXPECT_EQ(error_of(move(e, "inside", kRootInode, "b")), Errc::is_directory);
  EXPECT_EQ(error_of(move(b_, "e", kRootInode, "b")), Errc::not_empty);
  RenameArgs args = move(a_, "f", b_, "g");
  args.no_replace = true;
  EXPECT_EQ(error_of(args), Errc::exists);
  args.new_name = "free";
  EXPECT_EQ(error_of(args), Errc::ok);
  EXPECT_EQ(child(a_, "d"), d);
}

TEST_F(RenameTest, RefusesToMoveADirectoryBelowItself) {
  const InodeId c = directory(a_, "c");
  const InodeId d = directory(c, "d");
  EXPECT_EQ(error_of(move(kRootInode, "a", a_, "x")), Errc::invalid);
  EXPECT_EQ(error_of(move(kRootInode, "a", c, "x")), Errc::invalid);
  EXPECT_EQ(error_of(move(kRootInode, "a", d, "x")), Errc::invalid);
  EXPECT_EQ(error_of(swap(kRootInode, "a", c, "d")), Errc::invalid);
  EXPECT_EQ(error_of(swap(c, "d", kRootInode, "a")), Errc::invalid);
  EXPECT_EQ(error_of(move(a_, "c", b_, "x")), Errc::ok);
}

TEST_F(RenameTest, LeavesTwoNamesOfOneInodeAlone) {
  const InodeId f = file(a_, "f");
  must(LinkArgs{f, b_, "g"});
  const Attributes before = stat(a_);
  EXPECT_EQ(must<RemovedResult>(move(a_, "f", b_, "g")).moved->nlink, 2U);
  must<RemovedResult>(move(a_, "f", a_, "f"));
  EXPECT_EQ(child(a_, "f"), f);
  EXPECT_EQ(child(b_, "g"), f);
  EXPECT_EQ(stat(a_).change, before.change);
  RenameArgs args = move(a_, "f", a_, "f");
  args.no_replace = true;
  EXPECT_EQ(error_of(args), Errc::exists);
}

TEST_F(RenameTest, ExchangesNamesOfAnyKind) {
  const InodeId f = file(a_, "f");
  file(a_, "after");
  const InodeId d = directory(b_, "d");
  const RemovedResult result = must<RemovedResult>(swap(a_, "f", b_, "d"));
  EXPECT_EQ(child(a_, "f"), d);
  EXPECT_EQ(child(b_, "d"), f);
  EXPECT_EQ(child(d, ".."), a_);
  EXPECT_EQ(result.moved->inode, f);
  EXPECT_FALSE(result.removed);
  EXPECT_EQ(result.parent.nlink, 3U);
  EXPECT_EQ(result.new_parent->nlink, 2U);
  EXPECT_EQ(list(a_), (std::vector<std::string>{"f", "after"}));
  must<RemovedResult>(swap(a_, "f", a_, "after"));
  EXPECT_EQ(child(a_, "after"), d);
}

TEST_F(RenameTest, ExchangeNeedsBothNamesAndExcludesNoReplace) {
  file(a_, "f");
  EXPECT_EQ(error_of(swap(a_, "f", b_, "x")), Errc::not_found);
  EXPECT_EQ(error_of(swap(a_, "x", a_, "f")), Errc::not_found);
  RenameArgs both = swap(a_, "f", a_, "f");
  both.no_replace = true;
  EXPECT_EQ(error_of(both), Errc::invalid);
}

TEST_F(RenameTest, RefusesNamesAndPlacesThatAreNot) {
  const InodeId f = file(a_, "f");
  EXPECT_EQ(error_of(move(a_, "x", b_, "y")), Errc::not_found);
  EXPECT_EQ(error_of(move(a_, ".", b_, "y")), Errc::busy);
  EXPECT_EQ(error_of(move(a_, "f", b_, "..")), Errc::busy);
  EXPECT_EQ(error_of(move(a_, "f", b_, "")), Errc::invalid);
  EXPECT_EQ(error_of(move(a_, "f", b_, std::string(256, 'x'))), Errc::name_too_long);
  EXPECT_EQ(error_of(move(f, "f", b_, "x")), Errc::not_directory);
  EXPECT_EQ(error_of(move(a_, "f", f, "x")), Errc::not_directory);
  EXPECT_EQ(error_of(move(a_, "f", InodeId{99}, "x")), Errc::stale);
  held_.held.insert(b_);
  must<RemovedResult>(UnlinkArgs{kRootInode, "b", true});
  EXPECT_EQ(error_of(move(a_, "f", b_, "x")), Errc::not_found);
}

TEST_F(RenameTest, RefusesASubdirectoryTooMany) {
  directory(a_, "d");
  (*txn_.edit<tables::Inodes>(b_))->nlink = ~0U;
  EXPECT_EQ(error_of(move(a_, "d", b_, "d")), Errc::too_many_links);
  (*txn_.edit<tables::Inodes>(b_))->nlink = 2;
  EXPECT_NE(child(a_, "d"), InodeId{});
}

}  // namespace
}  // namespace dfs
