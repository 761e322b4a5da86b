// Capabilities of programs, which are an attribute, go when the program or its
// owner changes.
#include "server/meta/ops/xattrs.h"
#include "tests/unit/server/meta/ops/ops_fixture.h"

namespace dfs {
namespace {

const std::string kCapability(ops::kCapabilityName);

class CapabilityTest : public OpsTest {
 protected:
  void give() { must<AttributesResult>(SetXattrArgs{f_, kCapability, "cap"}); }
  bool has_it() {
    const bool found = error_of(GetXattrArgs{f_, kCapability}) == Errc::ok;
    EXPECT_EQ(stat(f_).xattrs, found ? 2U : 1U);
    return found;
  }
  void SetUp() override {
    must<AttributesResult>(SetXattrArgs{f_, "user.other", "stays"});
    write(f_, {{0, 100, nth(1), 0}});
    give();
    context_.caller = {0, 0};  // even of root
  }
  InodeId f_ = file(kRootInode, "f");
};

TEST_F(CapabilityTest, GoesWithAWrite) {
  EXPECT_TRUE(has_it());
  write(f_, {{0, 10, nth(2), 0}});
  EXPECT_FALSE(has_it());
}

TEST_F(CapabilityTest, GoesWithAHoleAndWithGrowth) {
  CommitFile file;
  file.inode = f_;
  file.holes = {{0, 10}};
  must<CommitResult>(CommitArgs{{file}, false, {}});
  EXPECT_FALSE(has_it());
  give();
  file.holes.clear();
  file.size_at_least = 1000;
  must<CommitResult>(CommitArgs{{file}, false, {}});
  EXPECT_FALSE(has_it());
}

TEST_F(CapabilityTest, StaysWhenACommitChangesNoByte) {
  CommitFile file;
  file.inode = f_;
  file.mtime = 5;
  must<CommitResult>(CommitArgs{{file}, false, {}});
  EXPECT_TRUE(has_it());
}

TEST_F(CapabilityTest, GoesWithTheSetIdBits) {
  SetAttrArgs clear = change_of(f_);
  clear.clear_set_id = true;
  must<AttributesResult>(clear);
  EXPECT_FALSE(has_it());
}

TEST_F(CapabilityTest, GoesWithATruncation) {
  SetAttrArgs cut = change_of(f_);
  cut.size = 50;
  must<AttributesResult>(cut);
  EXPECT_FALSE(has_it());
  give();
  must<OpenResult>(OpenArgs{f_, true});
  EXPECT_FALSE(has_it());
}

TEST_F(CapabilityTest, GoesWithACopyIntoTheFile) {
  const InodeId source = file(kRootInode, "source");
  write(source, {{0, 100, nth(3), 0}});
  CloneArgs args;
  args.source = source;
  args.inode = f_;
  args.length = 50;
  must<CloneResult>(args);
  EXPECT_FALSE(has_it());
}

TEST_F(CapabilityTest, GoesWithANewOwnerAndStaysWithANewMode) {
  SetAttrArgs mode = change_of(f_);
  mode.mode = 0755;
  must<AttributesResult>(mode);
  EXPECT_TRUE(has_it());
  SetAttrArgs owner = change_of(f_);
  owner.uid = 5;
  must<AttributesResult>(owner);
  EXPECT_FALSE(has_it());
}

}  // namespace
}  // namespace dfs
