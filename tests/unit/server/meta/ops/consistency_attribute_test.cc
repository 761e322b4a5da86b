// The attribute "dfs.consistency".
#include "common/rpc/consistency.h"
#include "tests/unit/server/meta/ops/ops_fixture.h"

namespace dfs {
namespace {

class ConsistencyAttributeTest : public OpsTest {
 protected:
  SetXattrArgs to(std::string value, InodeId inode) const {
    return {inode, std::string(kConsistencyName), std::move(value)};
  }
  SetXattrArgs to(std::string value) const { return to(std::move(value), a_); }
  RemoveXattrArgs removal() const { return {a_, std::string(kConsistencyName)}; }
  std::string get(InodeId inode) {
    return must<XattrResult>(GetXattrArgs{inode, std::string(kConsistencyName)}).value;
  }
  InodeId a_ = directory(kRootInode, "a");
};

TEST_F(ConsistencyAttributeTest, IsStrictWhereNobodySaysAnything) {
  EXPECT_EQ(get(kRootInode), "strict");
  EXPECT_EQ(get(a_), "strict");
  EXPECT_EQ(stat(file(a_, "f")).consistency, Consistency::strict);
}

TEST_F(ConsistencyAttributeTest, IsKeptAndToldWithTheAttributes) {
  const InodeId f = file(a_, "f");
  for (const Consistency each :
       {Consistency::relaxed, Consistency::close_to_open, Consistency::strict}) {
    for (const InodeId inode : {a_, f}) {
      must<AttributesResult>(to(std::string(name_of(each)), inode));
      commit();
      EXPECT_EQ(get(inode), name_of(each));
      EXPECT_EQ(stat(inode).consistency, each);
    }
  }
}

TEST_F(ConsistencyAttributeTest, IsThatOfTheDirectoryForWhatIsMadeInItFromThenOn) {
  const InodeId old = file(a_, "old");
  must<AttributesResult>(to("relaxed"));
  const InodeId b = directory(a_, "b");
  const InodeId fresh = file(b, "fresh");
  CreateArgs unnamed{b, ""};
  unnamed.open = unnamed.unnamed = true;
  const InodeId nameless = must<OpenResult>(unnamed).attributes.inode;
  held_.held.insert(nameless);
  const InodeId link = must(SymlinkArgs{b, "link", "fresh"}).attributes.inode;
  for (const InodeId inode : {b, fresh, nameless, link}) EXPECT_EQ(get(inode), "relaxed");
  EXPECT_EQ(get(old), "strict");

  must<AttributesResult>(to("close-to-open"));
  EXPECT_EQ(get(b), "relaxed");
  must<RemovedResult>(RenameArgs{b, "fresh", a_, "moved"});
  EXPECT_EQ(get(fresh), "relaxed") << "it is the file's own";
}

TEST_F(ConsistencyAttributeTest, IsAChangeOfTheInode) {
  const Attributes before = stat(a_);
  const Attributes after = must<AttributesResult>(to("relaxed")).attributes;
  EXPECT_EQ(after.ctime, context_.now);
  EXPECT_GT(after.change, before.change);
  EXPECT_EQ(after.mtime, before.mtime);
  EXPECT_EQ(after.data_change, before.data_change);
}

TEST_F(ConsistencyAttributeTest, IsNeitherListedNorCounted) {
  EXPECT_EQ(must<AttributesResult>(to("relaxed")).attributes.xattrs, 0u);
  EXPECT_TRUE(must<XattrResult>(ListXattrArgs{a_}).names.empty());
}

TEST_F(ConsistencyAttributeTest, IsStrictAgainOnceItIsRemoved) {
  must<AttributesResult>(to("relaxed"));
  const Attributes removed = must<AttributesResult>(removal()).attributes;
  EXPECT_EQ(removed.consistency, Consistency::strict);
  EXPECT_EQ(removed.ctime, context_.now);
  EXPECT_EQ(error_of(removal()), Errc::ok) << "there is always one";
}

TEST_F(ConsistencyAttributeTest, IsAlwaysThere) {
  SetXattrArgs args = to("relaxed");
  args.create_only = true;
  EXPECT_EQ(error_of(args), Errc::exists);
  args.create_only = false;
  args.replace_only = true;
  EXPECT_EQ(error_of(args), Errc::ok);
}

TEST_F(ConsistencyAttributeTest, IsForTheOwnerAndRootToSet) {
  context_.caller = {kUser + 1, kUser};
  EXPECT_EQ(error_of(to("relaxed")), Errc::not_permitted);
  EXPECT_EQ(error_of(removal()), Errc::not_permitted);
  EXPECT_EQ(get(a_), "strict") << "and for everybody to read";
  context_.caller = {0, 0};
  EXPECT_EQ(error_of(to("relaxed")), Errc::ok);
  EXPECT_EQ(error_of(removal()), Errc::ok);
}

TEST_F(ConsistencyAttributeTest, RefusesWhatIsNone) {
  for (const char* value : {"", "Strict", "strict\n", "close_to_open", "eventual"})
    EXPECT_EQ(error_of(to(value)), Errc::invalid) << value;
  EXPECT_EQ(error_of(to("relaxed", InodeId{99})), Errc::stale);
  EXPECT_EQ(error_of(SetXattrArgs{a_, "dfs.other", "strict"}), Errc::unsupported);
  EXPECT_EQ(error_of(GetXattrArgs{a_, "dfs.other"}), Errc::unsupported);
}

}  // namespace
}  // namespace dfs
