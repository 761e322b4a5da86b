// Lists of inodes: set, kept in step with modes, inherited.
#include "server/meta/ops/inode_acl.h"

#include "tests/unit/server/meta/ops/acl_values.h"
#include "tests/unit/server/meta/ops/ops_fixture.h"

namespace dfs {
namespace {

const std::string kAccess(ops::kAccessAclName);
const std::string kDefault(ops::kDefaultAclName);

class InodeAclTest : public OpsTest {
 protected:
  static SetXattrArgs set(InodeId inode, const std::string& name,
                          std::initializer_list<AclEntry> entries) {
    return {inode, name, acl(entries)};
  }
  Attributes must_set(InodeId inode, const std::string& name,
                      std::initializer_list<AclEntry> entries) {
    return must<AttributesResult>(set(inode, name, entries)).attributes;
  }
  Attributes chmod(InodeId inode, std::uint32_t mode) {
    SetAttrArgs args = change_of(inode);
    args.mode = mode;
    return must<AttributesResult>(args).attributes;
  }
  std::string get(InodeId inode, const std::string& name) {
    return must<XattrResult>(GetXattrArgs{inode, name}).value;
  }
  std::vector<std::string> names(InodeId inode) {
    return must<XattrResult>(ListXattrArgs{inode}).names;
  }
  Attributes make(InodeId parent, FileType type, std::uint32_t mode, std::uint32_t umask) {
    CreateArgs args{parent, "made" + std::to_string(ids_.next), type, mode};
    args.umask = umask;
    return must(args).attributes;
  }

  InodeId f_ = file(kRootInode, "f", 0640);
  InodeId d_ = directory(kRootInode, "d", 0755);
};

TEST_F(InodeAclTest, AnAccessListSetsTheMode) {
  chmod(f_, 04640);
  const Attributes after =
      must_set(f_, kAccess, {owner(7), user(5, 6), owning_group(0), mask(6), others(1)});
  EXPECT_EQ(after.mode, 04761U);
  EXPECT_EQ(after.xattrs, 1U);
  EXPECT_EQ(after.ctime, context_.now);
  EXPECT_EQ(get(f_, kAccess), acl({owner(7), user(5, 6), owning_group(0), mask(6), others(1)}));
}

TEST_F(InodeAclTest, AModeChangesTheAccessList) {
  must_set(f_, kAccess, {owner(7), user(5, 7), owning_group(5), mask(7), others(4)});
  EXPECT_EQ(chmod(f_, 06640).mode, 06640U);
  EXPECT_EQ(get(f_, kAccess), acl({owner(6), user(5, 7), owning_group(5), mask(4), others(0)}));
}

TEST_F(InodeAclTest, AModeLeavesTheDefaultListAlone) {
  must_set(d_, kDefault, {owner(7), owning_group(5), others(5)});
  chmod(d_, 0700);
  EXPECT_EQ(get(d_, kDefault), acl({owner(7), owning_group(5), others(5)}));
  EXPECT_EQ(names(d_), std::vector<std::string>{kDefault});
}

TEST_F(InodeAclTest, AListThatSaysNoMoreThanAModeIsKeptAsTheModeAlone) {
  must_set(f_, kAccess, {owner(7), user(5, 7), owning_group(5), mask(7), others(4)});
  const Attributes after = must_set(f_, kAccess, {owner(6), owning_group(4), others(4)});
  EXPECT_EQ(after.mode, 0644U);
  EXPECT_EQ(after.xattrs, 0U);
  EXPECT_EQ(error_of(GetXattrArgs{f_, kAccess}), Errc::no_data);
  chmod(f_, 0600);
  EXPECT_EQ(error_of(GetXattrArgs{f_, kAccess}), Errc::no_data);
}

TEST_F(InodeAclTest, ARemovedListLeavesTheMode) {
  must_set(f_, kAccess, {owner(7), user(5, 7), owning_group(5), mask(6), others(4)});
  must<AttributesResult>(RemoveXattrArgs{f_, kAccess});
  EXPECT_EQ(stat(f_).mode, 0764U);
  EXPECT_EQ(error_of(RemoveXattrArgs{f_, kAccess}), Errc::no_data);
}

TEST_F(InodeAclTest, AnAccessListTakesSetGidOnlyFromWhoMayNotKeepIt) {
  chmod(f_, 06755);
  SetXattrArgs args = set(f_, kAccess, {owner(7), owning_group(5), others(5)});
  EXPECT_EQ(must<AttributesResult>(args).attributes.mode, 06755U);
  args.clear_set_gid = true;
  EXPECT_EQ(must<AttributesResult>(args).attributes.mode, 04755U);

  chmod(d_, 02755);
  SetXattrArgs on_directory = set(d_, kDefault, {owner(7), owning_group(5), others(5)});
  on_directory.clear_set_gid = true;
  EXPECT_EQ(must<AttributesResult>(on_directory).attributes.mode, 02755U);
}

TEST_F(InodeAclTest, ListsHaveTheirPlaces) {
  EXPECT_EQ(error_of(set(f_, kDefault, {owner(7), owning_group(5), others(5)})), Errc::access);
  const InodeId link = must(SymlinkArgs{kRootInode, "l", "f"}).attributes.inode;
  EXPECT_EQ(error_of(set(link, kAccess, {owner(7), owning_group(5), others(5)})),
            Errc::unsupported);
  EXPECT_EQ(error_of(SetXattrArgs{f_, "system.richacl", "x"}), Errc::unsupported);
  EXPECT_EQ(error_of(GetXattrArgs{f_, "system.richacl"}), Errc::unsupported);
}

TEST_F(InodeAclTest, AListThatIsRefusedChangesNothing) {
  const Attributes before = stat(f_);
  EXPECT_EQ(error_of(set(f_, kAccess, {owner(7), user(5, 7), owning_group(5), others(5)})),
            Errc::invalid);
  EXPECT_EQ(error_of(SetXattrArgs{f_, kAccess, std::string(ops::kAclBytesMax + 1, 'x')}),
            Errc::too_big);
  const Attributes after = stat(f_);
  EXPECT_EQ(after.mode, before.mode);
  EXPECT_EQ(after.change, before.change);
  EXPECT_EQ(after.xattrs, 0U);
}

TEST_F(InodeAclTest, CreateAndReplaceAreStrictForListsToo) {
  SetXattrArgs args = set(f_, kAccess, {owner(7), user(5, 7), owning_group(5), mask(5), others(5)});
  args.replace_only = true;
  EXPECT_EQ(error_of(args), Errc::no_data);
  args.replace_only = false;
  args.create_only = true;
  EXPECT_EQ(error_of(args), Errc::ok);
  EXPECT_EQ(error_of(args), Errc::exists);
}

TEST_F(InodeAclTest, ListsCountAsAttributes) {
  for (std::uint32_t i = 0; i < ops::kXattrsMax; ++i)
    ASSERT_EQ(error_of(SetXattrArgs{f_, "user." + std::to_string(i), "x"}), Errc::ok);
  const auto list = {owner(7), user(5, 7), owning_group(5), mask(5), others(5)};
  EXPECT_EQ(error_of(set(f_, kAccess, list)), Errc::no_space);
  EXPECT_EQ(stat(f_).mode, 0640U);
  must<AttributesResult>(RemoveXattrArgs{f_, "user.0"});
  EXPECT_EQ(error_of(set(f_, kAccess, list)), Errc::ok);
}

TEST_F(InodeAclTest, WithoutADefaultListTheUmaskIsTakenFromModes) {
  EXPECT_EQ(make(d_, FileType::regular, 0666, 027).mode, 0640U);
  EXPECT_EQ(make(d_, FileType::directory, 01777, 022).mode, 01755U);
  EXPECT_EQ(make(d_, FileType::fifo, 0666, 077).mode, 0600U);
  EXPECT_EQ(must(SymlinkArgs{d_, "l", "t"}).attributes.mode, 0777U);
}

TEST_F(InodeAclTest, ADefaultListDecidesInsteadOfTheUmask) {
  const auto list = {owner(7), user(5, 7), owning_group(5), mask(7), others(1)};
  must_set(d_, kDefault, list);
  const Attributes made = make(d_, FileType::regular, 0664, 077);
  EXPECT_EQ(made.mode, 0660U);
  EXPECT_EQ(get(made.inode, kAccess),
            acl({owner(6), user(5, 7), owning_group(5), mask(6), others(0)}));
  EXPECT_EQ(names(made.inode), std::vector<std::string>{kAccess});
  EXPECT_EQ(made.xattrs, 1U);
  commit();
  EXPECT_EQ(stat(made.inode).xattrs, 1U);
}

TEST_F(InodeAclTest, DirectoriesInheritTheDefaultListItselfToo) {
  const auto list = {owner(7), user(5, 7), owning_group(5), mask(7), others(0)};
  must_set(d_, kDefault, list);
  const Attributes inner = make(d_, FileType::directory, 0755, 077);
  EXPECT_EQ(inner.mode, 0750U);
  EXPECT_EQ(get(inner.inode, kDefault), acl(list));
  EXPECT_EQ(get(inner.inode, kAccess),
            acl({owner(7), user(5, 7), owning_group(5), mask(5), others(0)}));
  const Attributes deeper = make(inner.inode, FileType::regular, 0666, 077);
  EXPECT_EQ(deeper.mode, 0660U);
}

TEST_F(InodeAclTest, AMinimalDefaultListBecomesTheModeAlone) {
  must_set(d_, kDefault, {owner(7), owning_group(7), others(0)});
  const Attributes made = make(d_, FileType::regular, 0666, 022);
  EXPECT_EQ(made.mode, 0660U);
  EXPECT_EQ(made.xattrs, 0U);
  const Attributes inner = make(d_, FileType::directory, 0777, 022);
  EXPECT_EQ(inner.mode, 0770U);
  EXPECT_EQ(names(inner.inode), std::vector<std::string>{kDefault});
}

TEST_F(InodeAclTest, SymlinksInheritNothing) {
  must_set(d_, kDefault, {owner(7), user(5, 7), owning_group(5), mask(7), others(0)});
  const Attributes link = must(SymlinkArgs{d_, "l", "t"}).attributes;
  EXPECT_EQ(link.mode, 0777U);
  EXPECT_EQ(link.xattrs, 0U);
}

TEST_F(InodeAclTest, ListsGoWithTheirInode) {
  must_set(d_, kDefault, {owner(7), user(5, 7), owning_group(5), mask(7), others(0)});
  make(d_, FileType::directory, 0777, 0);
  must<RemovedResult>(UnlinkArgs{d_, list(d_).front(), true});
  must<RemovedResult>(UnlinkArgs{kRootInode, "d", true});
}

}  // namespace
}  // namespace dfs
