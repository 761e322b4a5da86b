#include "tests/unit/server/meta/ops/ops_fixture.h"

namespace dfs {
namespace {

class LinkTest : public OpsTest {};
class RemoveTest : public OpsTest {};

TEST_F(LinkTest, GivesAnInodeAnotherName) {
  const InodeId f = file(kRootInode, "f");
  const InodeId d = directory(kRootInode, "d");
  const EntryResult linked = must(LinkArgs{f, d, "g"});
  EXPECT_EQ(linked.attributes.inode, f);
  EXPECT_EQ(linked.attributes.nlink, 2U);
  EXPECT_EQ(linked.attributes.ctime, context_.now);
  EXPECT_LT(linked.attributes.mtime, context_.now);
  EXPECT_EQ(linked.parent->inode, d);
  EXPECT_EQ(linked.parent->mtime, context_.now);
  EXPECT_EQ(child(d, "g"), f);
  const InodeId l = must(SymlinkArgs{kRootInode, "l", "t"}).attributes.inode;
  EXPECT_EQ(must(LinkArgs{l, d, "m"}).attributes.nlink, 2U);
}

TEST_F(LinkTest, RefusesWhatCannotHaveAnotherName) {
  const InodeId f = file(kRootInode, "f");
  const InodeId d = directory(kRootInode, "d");
  EXPECT_EQ(error_of(LinkArgs{d, kRootInode, "e"}), Errc::not_permitted);
  EXPECT_EQ(error_of(LinkArgs{f, kRootInode, "d"}), Errc::exists);
  EXPECT_EQ(error_of(LinkArgs{f, kRootInode, "."}), Errc::exists);
  EXPECT_EQ(error_of(LinkArgs{f, kRootInode, ""}), Errc::invalid);
  EXPECT_EQ(error_of(LinkArgs{f, kRootInode, std::string(256, 'x')}), Errc::name_too_long);
  EXPECT_EQ(error_of(LinkArgs{f, f, "x"}), Errc::not_directory);
  EXPECT_EQ(error_of(LinkArgs{InodeId{99}, kRootInode, "x"}), Errc::stale);
  EXPECT_EQ(error_of(LinkArgs{f, InodeId{99}, "x"}), Errc::stale);
  (*txn_.edit<tables::Inodes>(f))->nlink = ops::kLinkMax;
  EXPECT_EQ(error_of(LinkArgs{f, kRootInode, "x"}), Errc::too_many_links);
  (*txn_.edit<tables::Inodes>(f))->nlink = 1;
}

TEST_F(LinkTest, DoesNotBringBackAnOrphan) {
  const InodeId f = file(kRootInode, "f");
  held_.held.insert(f);
  must<RemovedResult>(UnlinkArgs{kRootInode, "f"});
  EXPECT_EQ(error_of(LinkArgs{f, kRootInode, "x"}), Errc::not_found);
}

TEST_F(RemoveTest, TakesANameAndMarksParentAndInode) {
  const InodeId f = file(kRootInode, "f");
  must(LinkArgs{f, kRootInode, "g"});
  const RemovedResult removed = must<RemovedResult>(UnlinkArgs{kRootInode, "f"});
  ASSERT_TRUE(removed.removed);
  EXPECT_EQ(removed.removed->inode, f);
  EXPECT_EQ(removed.removed->nlink, 1U);
  EXPECT_EQ(removed.removed->ctime, context_.now);
  EXPECT_LT(removed.removed->mtime, context_.now);
  EXPECT_EQ(removed.parent.mtime, context_.now);
  EXPECT_FALSE(removed.moved);
  EXPECT_FALSE(removed.new_parent);
  EXPECT_EQ(child(kRootInode, "f"), InodeId{});
  EXPECT_EQ(child(kRootInode, "g"), f);
}

TEST_F(RemoveTest, OfTheLastNameRemovesEverything) {
  const InodeId f = file(kRootInode, "f");
  write(f, {{0, 10, nth(1), 0}, {20, 10, nth(2), 0}});
  must<AttributesResult>(SetXattrArgs{f, "user.x", "y"});
  EXPECT_EQ(totals_.chunks, 2U);
  EXPECT_EQ(must<RemovedResult>(UnlinkArgs{kRootInode, "f"}).removed->nlink, 0U);
  EXPECT_EQ(error_of(GetAttrArgs{f}), Errc::stale);
  EXPECT_EQ(chunk(nth(1)), nullptr);
  EXPECT_TRUE(is_garbage(nth(1)));
  EXPECT_TRUE(is_garbage(nth(2)));
  EXPECT_EQ(totals_, (Totals{.inodes = 1, .garbage = 2}));
  const auto garbage = txn_.find<tables::Garbage>(nth(1));
  EXPECT_EQ((*garbage)->servers, groups_.members_of(GroupId{1}));
  EXPECT_EQ((*garbage)->length, 10U);
}

TEST_F(RemoveTest, KeepsWhatIsHeldUntilItIsPurged) {
  const InodeId f = file(kRootInode, "f");
  write(f, {{0, 10, nth(1), 0}});
  held_.held.insert(f);
  must<RemovedResult>(UnlinkArgs{kRootInode, "f"});
  EXPECT_TRUE(is_orphan(f));
  EXPECT_EQ(stat(f).nlink, 0U);
  write(f, {{10, 10, nth(2), 0}});
  EXPECT_EQ(extents(f).size(), 2U);

  held_.held.clear();
  EXPECT_EQ(error_of(GetAttrArgs{f}), Errc::stale) << "nobody holds it any more";
  commit();
  EXPECT_EQ(*purge_orphan(txn_, context_, f), Purge::done);
  EXPECT_FALSE(is_orphan(f));
  EXPECT_TRUE(is_garbage(nth(1)));
  EXPECT_TRUE(is_garbage(nth(2)));
  EXPECT_EQ(*purge_orphan(txn_, context_, f), Purge::done) << "again: nothing to do";
}

TEST_F(RemoveTest, PurgesALargeFileInSteps) {
  const InodeId f = file(kRootInode, "f");
  const std::size_t count = 2 * kPurgeExtentsMax + 10;
  std::vector<Extent> extents;
  for (std::uint64_t i = 0; i < count; ++i) extents.push_back({i * 10, 10, nth(i + 1), 0});
  write(f, std::move(extents));
  commit();
  must<RemovedResult>(UnlinkArgs{kRootInode, "f"});
  ASSERT_EQ(unfinished_, std::vector<InodeId>{f});
  EXPECT_TRUE(is_orphan(f));
  EXPECT_EQ(error_of(OpenArgs{f}), Errc::stale) << "no longer for anybody";
  EXPECT_EQ(totals_.chunks, count - kPurgeExtentsMax);
  commit();
  EXPECT_EQ(*purge_orphan(txn_, context_, f), Purge::more);
  commit();
  EXPECT_EQ(*purge_orphan(txn_, context_, f), Purge::done);
  EXPECT_EQ(totals_, (Totals{.inodes = 1, .garbage = count}));
}

TEST_F(RemoveTest, ASharedChunkStaysWhileAnotherFileNamesIt) {
  const InodeId f = file(kRootInode, "f");
  const InodeId g = file(kRootInode, "g");
  write(f, {{0, 10, nth(1), 0}});
  write(g, {{0, 10, nth(1), 10}});
  ASSERT_NE(chunk(nth(1)), nullptr);
  EXPECT_EQ(chunk(nth(1))->references, 2U);
  EXPECT_EQ(chunk(nth(1))->length, 20U);
  must<RemovedResult>(UnlinkArgs{kRootInode, "f"});
  EXPECT_FALSE(is_garbage(nth(1)));
  must<RemovedResult>(UnlinkArgs{kRootInode, "g"});
  EXPECT_TRUE(is_garbage(nth(1)));
}

TEST_F(RemoveTest, RemovesOnlyEmptyDirectories) {
  const InodeId d = directory(kRootInode, "d");
  file(d, "f");
  EXPECT_EQ(error_of(UnlinkArgs{kRootInode, "d", true}), Errc::not_empty);
  must<RemovedResult>(UnlinkArgs{d, "f"});
  const RemovedResult removed = must<RemovedResult>(UnlinkArgs{kRootInode, "d", true});
  EXPECT_EQ(removed.removed->nlink, 0U);
  EXPECT_EQ(removed.parent.nlink, 2U);
  EXPECT_EQ(error_of(GetAttrArgs{d}), Errc::stale);
}

TEST_F(RemoveTest, AHeldDirectoryStaysEmptyAndNameless) {
  const InodeId d = directory(kRootInode, "d");
  held_.held.insert(d);
  must<RemovedResult>(UnlinkArgs{kRootInode, "d", true});
  EXPECT_TRUE(is_orphan(d));
  EXPECT_EQ(stat(d).nlink, 0U);
  EXPECT_TRUE(must<ReadDirResult>(ReadDirArgs{d}).end);
  held_.held.clear();
  EXPECT_EQ(*purge_orphan(txn_, context_, d), Purge::done);
  EXPECT_EQ(error_of(GetAttrArgs{d}), Errc::stale);
}

TEST_F(RemoveTest, RefusesTheWrongKindAndWhatIsNotThere) {
  const InodeId f = file(kRootInode, "f");
  directory(kRootInode, "d");
  EXPECT_EQ(error_of(UnlinkArgs{kRootInode, "d"}), Errc::is_directory);
  EXPECT_EQ(error_of(UnlinkArgs{kRootInode, "f", true}), Errc::not_directory);
  EXPECT_EQ(error_of(UnlinkArgs{kRootInode, "x"}), Errc::not_found);
  EXPECT_EQ(error_of(UnlinkArgs{kRootInode, "x", true}), Errc::not_found);
  EXPECT_EQ(error_of(UnlinkArgs{kRootInode, ".", true}), Errc::invalid);
  EXPECT_EQ(error_of(UnlinkArgs{kRootInode, "..", true}), Errc::not_empty);
  EXPECT_EQ(error_of(UnlinkArgs{kRootInode, "."}), Errc::is_directory);
  EXPECT_EQ(error_of(UnlinkArgs{f, "x"}), Errc::not_directory);
  EXPECT_EQ(error_of(UnlinkArgs{InodeId{99}, "x"}), Errc::stale);
  EXPECT_EQ(error_of(UnlinkArgs{kRootInode, std::string(256, 'x')}), Errc::name_too_long);
}

}  // namespace
}  // namespace dfs
