#include "tests/unit/server/meta/ops/ops_fixture.h"

namespace dfs {
namespace {

class XattrTest : public OpsTest {
 protected:
  SetXattrArgs set(std::string name, std::string value) const {
    return {f_, std::move(name), std::move(value), false, false};
  }
  std::string get(const std::string& name) {
    return must<XattrResult>(GetXattrArgs{f_, name}).value;
  }
  InodeId f_ = file(kRootInode, "f");
};

TEST_F(XattrTest, AreKeptListedReplacedAndRemoved) {
  const std::string binary("\0\xff", 2);
  const Attributes before = stat(f_);
  const Attributes after = must<AttributesResult>(set("user.b", binary)).attributes;
  EXPECT_EQ(after.ctime, context_.now);
  EXPECT_EQ(after.mtime, before.mtime);
  EXPECT_GT(after.change, before.change);
  EXPECT_EQ(after.data_change, before.data_change);
  must<AttributesResult>(set("user.a", ""));
  commit();
  must<AttributesResult>(set("user.c", "x"));
  EXPECT_EQ(get("user.b"), binary);
  EXPECT_EQ(get("user.a"), "");
  EXPECT_EQ(must<XattrResult>(ListXattrArgs{f_}).names,
            (std::vector<std::string>{"user.a", "user.b", "user.c"}));
  must<AttributesResult>(set("user.b", "new"));
  EXPECT_EQ(get("user.b"), "new");
  EXPECT_EQ(must<AttributesResult>(RemoveXattrArgs{f_, "user.a"}).attributes.ctime, context_.now);
  EXPECT_EQ(must<XattrResult>(ListXattrArgs{f_}).names,
            (std::vector<std::string>{"user.b", "user.c"}));
}

TEST_F(XattrTest, OfOneInodeAreNotThoseOfTheNext) {
  const InodeId g = file(kRootInode, "g");
  must<AttributesResult>(SetXattrArgs{g, "user.g", "1", false, false});
  must<AttributesResult>(set("user.f", "2"));
  EXPECT_EQ(must<XattrResult>(ListXattrArgs{f_}).names, std::vector<std::string>{"user.f"});
  EXPECT_TRUE(must<XattrResult>(ListXattrArgs{kRootInode}).names.empty());
}

TEST_F(XattrTest, CreateAndReplaceAreStrict) {
  SetXattrArgs args = set("user.a", "1");
  args.replace_only = true;
  EXPECT_EQ(error_of(args), Errc::no_data);
  args.replace_only = false;
  args.create_only = true;
  EXPECT_EQ(error_of(args), Errc::ok);
  EXPECT_EQ(error_of(args), Errc::exists);
  args.create_only = false;
  args.replace_only = true;
  args.value = "2";
  EXPECT_EQ(error_of(args), Errc::ok);
  EXPECT_EQ(get("user.a"), "2");
}

TEST_F(XattrTest, HaveLimits) {
  EXPECT_EQ(error_of(set("", "x")), Errc::range);
  EXPECT_EQ(error_of(set(std::string(256, 'n'), "x")), Errc::range);
  EXPECT_EQ(error_of(set(std::string("a\0b", 3), "x")), Errc::invalid);
  EXPECT_EQ(error_of(set("user.a", std::string(kXattrValueMax + 1, 'v'))), Errc::too_big);
  EXPECT_EQ(error_of(set(std::string(255, 'n'), std::string(kXattrValueMax, 'v'))), Errc::ok);
  EXPECT_EQ(error_of(GetXattrArgs{f_, std::string(256, 'n')}), Errc::range);
  EXPECT_EQ(error_of(RemoveXattrArgs{f_, ""}), Errc::range);
  for (std::uint32_t i = 1; i < ops::kXattrsMax; ++i)
    ASSERT_EQ(error_of(set("user." + std::to_string(i), "x")), Errc::ok);
  EXPECT_EQ(error_of(set("user.more", "x")), Errc::no_space);
  EXPECT_EQ(error_of(set("user.1", "y")), Errc::ok);
}

TEST_F(XattrTest, ThatAreNotThereSaySo) {
  EXPECT_EQ(error_of(GetXattrArgs{f_, "user.a"}), Errc::no_data);
  EXPECT_EQ(error_of(RemoveXattrArgs{f_, "user.a"}), Errc::no_data);
  must<AttributesResult>(set("user.b", "x"));
  EXPECT_EQ(error_of(GetXattrArgs{f_, "user.a"}), Errc::no_data);
  EXPECT_EQ(error_of(RemoveXattrArgs{f_, "user.a"}), Errc::no_data);
}

TEST_F(XattrTest, OfAnInodeThatIsGoneAreStale) {
  EXPECT_EQ(error_of(SetXattrArgs{InodeId{99}, "user.a", "x", false, false}), Errc::stale);
  EXPECT_EQ(error_of(GetXattrArgs{InodeId{99}, "user.a"}), Errc::stale);
  EXPECT_EQ(error_of(ListXattrArgs{InodeId{99}}), Errc::stale);
  EXPECT_EQ(error_of(RemoveXattrArgs{InodeId{99}, "user.a"}), Errc::stale);
}

}  // namespace
}  // namespace dfs
