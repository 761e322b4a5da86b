// Extended attributes: what is known not to be there is not asked for.
#include "common/rpc/consistency.h"
#include "tests/unit/common/client/engine_fixture.h"

namespace dfs {
namespace {

class EngineXattrsTest : public ::testing::Test {
 protected:
  Errc get(FakeMount& mount, const CallContext& context = {}) {
    const auto value = mount.fs->get_xattr(inode_, "user.x", context);
    return value ? Errc::ok : value.error().code;
  }
  std::size_t asked(const FakeMount& mount) const {
    return mount.meta.calls<GetXattrArgs>() + mount.meta.calls<ListXattrArgs>();
  }

  FakeClock clock_;
  FakeCluster cluster_{clock_};
  FakeMount here_{cluster_};
  FakeMount there_{cluster_};
  InodeId inode_ =
      here_.fs->make_node(kRootInode, "d", FileType::directory, 0755, 0, {})->inode;
};

TEST_F(EngineXattrsTest, OfAnInodeThatHasNoneCostNoCall) {
  EXPECT_EQ(get(here_), Errc::no_data);
  EXPECT_TRUE(here_.fs->list_xattr(inode_, {})->empty());
  CallContext at_once;
  at_once.may_wait = false;
  EXPECT_EQ(get(here_, at_once), Errc::no_data);
  EXPECT_EQ(asked(here_), 0U);
}

TEST_F(EngineXattrsTest, AreThereAtOnceWhereTheyWereSet) {
  ASSERT_TRUE(here_.fs->set_xattr({inode_, "user.x", "1"}, {}));
  EXPECT_EQ(get(here_), Errc::ok);
  EXPECT_EQ(here_.fs->list_xattr(inode_, {})->size(), 1U);
  ASSERT_TRUE(here_.fs->remove_xattr(inode_, "user.x", {}));
  EXPECT_EQ(get(here_), Errc::no_data);
  EXPECT_EQ(asked(here_), 2U) << "after the last was removed nothing is asked for";
}

TEST_F(EngineXattrsTest, OfAnOpenFileAreThereAtOnceToo) {
  const OpenFilePtr file = here_.create("f");
  inode_ = here_.inode_of("f");
  ASSERT_TRUE(here_.write(*file, 0, "not sent yet"));
  EXPECT_EQ(get(here_), Errc::no_data);
  EXPECT_EQ(asked(here_), 0U);
  ASSERT_TRUE(here_.fs->set_xattr({inode_, "user.x", "1"}, {}));
  EXPECT_EQ(get(here_), Errc::ok);
  here_.fs->close(file);
}

TEST_F(EngineXattrsTest, ThatAnotherMountSetAreSeenWhenAttributesAreOld) {
  EXPECT_EQ(get(here_), Errc::no_data);
  ASSERT_TRUE(there_.fs->set_xattr({inode_, "user.x", "1"}, {}));
  clock_.advance(small_config().attribute_timeout);
  CallContext at_once;
  at_once.may_wait = false;
  EXPECT_EQ(get(here_, at_once), Errc::would_wait);
  EXPECT_EQ(get(here_), Errc::ok);
}

// No row of its own, so that an inode has none says nothing of it.
TEST_F(EngineXattrsTest, TheConsistencyIsToldFromTheAttributesThatAreKnown) {
  const std::string name(kConsistencyName);
  CallContext at_once;
  at_once.may_wait = false;
  EXPECT_EQ(here_.fs->get_xattr(inode_, name, at_once), "strict");
  ASSERT_TRUE(here_.fs->set_xattr({inode_, name, "relaxed"}, {}));
  EXPECT_EQ(here_.fs->get_xattr(inode_, name, at_once), "relaxed");
  EXPECT_TRUE(here_.fs->list_xattr(inode_, {})->empty());
  EXPECT_EQ(asked(here_), 0U);
}

TEST_F(EngineXattrsTest, TheConsistencyThatAnotherMountSetIsSeenWhenAttributesAreOld) {
  const std::string name(kConsistencyName);
  ASSERT_TRUE(there_.fs->set_xattr({inode_, name, "close-to-open"}, {}));
  EXPECT_EQ(here_.fs->get_xattr(inode_, name, {}), "strict");
  clock_.advance(small_config().attribute_timeout);
  CallContext at_once;
  at_once.may_wait = false;
  EXPECT_EQ(here_.fs->get_xattr(inode_, name, at_once).error().code, Errc::would_wait);
  EXPECT_EQ(here_.fs->get_xattr(inode_, name, {}), "close-to-open");
}

// A list sets the mode, so the mode that is known would be wrong.
TEST_F(EngineXattrsTest, ChangeTheAttributesThatAreKnown) {
  const auto before = here_.fs->get_attributes(inode_, {});
  ASSERT_TRUE(here_.fs->set_xattr({inode_, "user.x", "1"}, {}));
  const auto set = here_.fs->get_attributes(inode_, {});
  EXPECT_GT(set->change, before->change);
  ASSERT_TRUE(here_.fs->remove_xattr(inode_, "user.x", {}));
  EXPECT_GT(here_.fs->get_attributes(inode_, {})->change, set->change);
}

TEST_F(EngineXattrsTest, TheUmaskOfTheCallerIsPassedOn) {
  CallContext context;
  context.umask = 027;
  EXPECT_EQ(here_.fs->make_node(kRootInode, "e", FileType::directory, 0777, 0, context)->mode, 0750U);
  OpenOptions options;
  const auto made = here_.fs->create(kRootInode, "g", 0666, true, options, context);
  EXPECT_EQ(made->attributes.mode, 0640U);
  here_.fs->close(made->file);
}

}  // namespace
}  // namespace dfs
