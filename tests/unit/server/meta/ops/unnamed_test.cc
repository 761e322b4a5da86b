// Files that are made without a name, and those that get one by a link.
#include "server/meta/ops/acl.h"
#include "tests/unit/server/meta/ops/acl_values.h"
#include "tests/unit/server/meta/ops/ops_fixture.h"

namespace dfs {
namespace {

class UnnamedTest : public OpsTest {
 protected:
  static CreateArgs args_in(InodeId directory, std::uint32_t mode = 0640) {
    CreateArgs args;
    args.parent = directory;
    args.mode = mode;
    args.open = true;
    args.unnamed = true;
    return args;
  }
  // Held, as the core does it.
  Attributes make(const CreateArgs& args) {
    const OpenResult made = must<OpenResult>(args);
    held_.held.insert(made.attributes.inode);
    return made.attributes;
  }
};

TEST_F(UnnamedTest, FilesAreOrphansFromTheStartAndLeaveTheParentAlone) {
  const Attributes before = stat(kRootInode);
  const OpenResult made = must<OpenResult>(args_in(kRootInode));
  const InodeId inode = made.attributes.inode;
  EXPECT_TRUE(made.created);
  EXPECT_TRUE(made.extents_complete);
  EXPECT_FALSE(made.parent);
  EXPECT_EQ(made.attributes.type, FileType::regular);
  EXPECT_EQ(made.attributes.nlink, 0U);
  EXPECT_EQ(made.attributes.mode, 0640U);
  EXPECT_EQ(made.attributes.uid, kUser);
  EXPECT_EQ(made.attributes.btime, context_.now);
  EXPECT_TRUE(is_orphan(inode));
  EXPECT_EQ(unfinished_, std::vector<InodeId>{inode}) << "somebody has to look at it afterwards";
  EXPECT_EQ(stat(kRootInode).change, before.change);
  EXPECT_TRUE(list(kRootInode).empty());
  EXPECT_EQ(totals_.inodes, 2U);
}

TEST_F(UnnamedTest, FilesInheritFromTheDirectoryTheyAreMadeIn) {
  const InodeId d = directory(kRootInode, "d");
  must<AttributesResult>(SetPolicyArgs{d, 2, 2 * MiB});
  SetAttrArgs shared = change_of(d);
  shared.gid = 500;
  shared.mode = 02775;
  must<AttributesResult>(shared);
  CreateArgs args = args_in(d, 0666);
  args.umask = 027;
  const Attributes made = make(args);
  EXPECT_EQ(made.replicas, 2U);
  EXPECT_EQ(made.chunk_size, 2 * MiB);
  EXPECT_EQ(made.gid, 500U);
  EXPECT_EQ(made.mode, 0640U);

  must<AttributesResult>(
      SetXattrArgs{d, std::string(ops::kDefaultAclName),
                   acl({owner(7), user(5, 6), owning_group(5), mask(7), others(0)})});
  const Attributes listed = make(args);
  EXPECT_EQ(listed.mode, 0660U) << "the list decides, not the umask";
  EXPECT_EQ(listed.xattrs, 1U);
}

TEST_F(UnnamedTest, FilesAreRegularHeldAndInADirectoryThatIsThere) {
  CreateArgs closed = args_in(kRootInode);
  closed.open = false;
  EXPECT_EQ(error_of(closed), Errc::invalid);
  CreateArgs pipe = args_in(kRootInode);
  pipe.type = FileType::fifo;
  EXPECT_EQ(error_of(pipe), Errc::invalid);
  EXPECT_EQ(error_of(args_in(file(kRootInode, "f"))), Errc::not_directory);
  const InodeId d = directory(kRootInode, "d");
  held_.held.insert(d);
  must<RemovedResult>(UnlinkArgs{kRootInode, "d", true});
  EXPECT_EQ(error_of(args_in(d)), Errc::not_found);
}

TEST_F(UnnamedTest, FilesGetTheirFirstNameByALink) {
  const InodeId inode = make(args_in(kRootInode)).inode;
  write(inode, {{0, 10, nth(1), 0}});
  const InodeId d = directory(kRootInode, "d");
  const EntryResult linked = must(LinkArgs{inode, d, "f"});
  EXPECT_EQ(linked.attributes.nlink, 1U);
  EXPECT_EQ(linked.attributes.size, 10U);
  EXPECT_EQ(linked.parent->inode, d);
  EXPECT_EQ(child(d, "f"), inode);
  EXPECT_FALSE(is_orphan(inode));
  commit();
  EXPECT_EQ(*purge_orphan(txn_, context_, inode), Purge::done);
  EXPECT_EQ(extents(inode).size(), 1U) << "it is none of the orphans' any more";
}

TEST_F(UnnamedTest, FilesThatLoseTheirNameGetNoOther) {
  const InodeId inode = make(args_in(kRootInode)).inode;
  must(LinkArgs{inode, kRootInode, "f"});
  must<RemovedResult>(UnlinkArgs{kRootInode, "f"});
  EXPECT_TRUE(is_orphan(inode));
  EXPECT_EQ(error_of(LinkArgs{inode, kRootInode, "g"}), Errc::not_found);
}

TEST_F(UnnamedTest, FilesThatNobodyHoldsGetNoneAndAreGone) {
  const InodeId inode = make(args_in(kRootInode)).inode;
  write(inode, {{0, 10, nth(1), 0}});
  held_.held.clear();
  EXPECT_EQ(error_of(LinkArgs{inode, kRootInode, "f"}), Errc::stale);
  EXPECT_EQ(error_of(GetAttrArgs{inode}), Errc::stale);
  commit();
  EXPECT_EQ(*purge_orphan(txn_, context_, inode), Purge::done);
  EXPECT_TRUE(is_garbage(nth(1)));
  EXPECT_EQ(totals_, (Totals{.inodes = 1, .garbage = 1}));
}

TEST_F(UnnamedTest, ALinkThatIsRefusedLeavesAnOrphan) {
  const InodeId inode = make(args_in(kRootInode)).inode;
  file(kRootInode, "f");
  EXPECT_EQ(error_of(LinkArgs{inode, kRootInode, "f"}), Errc::exists);
  EXPECT_TRUE(is_orphan(inode));
  EXPECT_EQ(must(LinkArgs{inode, kRootInode, "g"}).attributes.nlink, 1U);
}

}  // namespace
}  // namespace dfs
