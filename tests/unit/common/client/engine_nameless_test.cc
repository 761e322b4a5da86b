// Inodes without a name: files made so, and what is used after it was removed.
#include "common/client/removed_inodes.h"
#include "tests/unit/common/client/engine_fixture.h"

namespace dfs {
namespace {

class EngineNamelessTest : public ::testing::Test {
 protected:
  ~EngineNamelessTest() override {
    for (const std::string& violation : cluster_.meta.violations()) ADD_FAILURE() << violation;
  }
  Created make_unnamed(FakeMount& mount) {
    OpenOptions options;
    options.write = true;
    auto made = mount.fs->create_unnamed(kRootInode, 0600, options, {});
    EXPECT_TRUE(made) << (made ? "" : made.error().to_string());
    return *made;
  }
  InodeId make(FileType type, const std::string& name = "x") {
    return here_.fs->make_node(kRootInode, name, type, 0750, 0, {})->inode;
  }
  // The kernel asks when it has known attributes for so long.
  Result<Attributes> look(FakeMount& mount, InodeId inode) {
    clock_.advance(small_config().attribute_timeout);
    return mount.fs->get_attributes(inode, {});
  }
  Errc error_of_look(FakeMount& mount, InodeId inode) {
    const auto found = look(mount, inode);
    return found ? Errc::ok : found.error().code;
  }

  FakeClock clock_;
  FakeCluster cluster_{clock_};
  FakeMount here_{cluster_};
  FakeMount there_{cluster_};
};

TEST_F(EngineNamelessTest, AFileMadeWithoutANameIsGoneWhenItIsClosed) {
  const Created made = make_unnamed(here_);
  EXPECT_TRUE(made.created);
  EXPECT_EQ(made.attributes.nlink, 0U);
  ASSERT_TRUE(here_.write(*made.file, 0, "text"));
  EXPECT_EQ(here_.read(*made.file, 0, 10), "text");
  ASSERT_TRUE(here_.fs->fsync(*made.file, {}));
  EXPECT_EQ(cluster_.meta.extents(made.attributes.inode).size(), 1U);
  here_.fs->close(made.file);
  EXPECT_FALSE(cluster_.meta.exists(made.attributes.inode));
}

TEST_F(EngineNamelessTest, ANameComesWithWhatWasWrittenBefore) {
  const Created made = make_unnamed(here_);
  ASSERT_TRUE(here_.write(*made.file, 0, "all of it"));
  ASSERT_TRUE(here_.fs->flush(*made.file, {}));
  EXPECT_TRUE(cluster_.meta.extents(made.attributes.inode).empty()) << "nobody else can open it";
  const auto linked = here_.fs->link(made.attributes.inode, kRootInode, "f", {});
  ASSERT_TRUE(linked);
  EXPECT_EQ(linked->nlink, 1U);
  const Opened opened = there_.open("f");
  EXPECT_EQ(there_.read(*opened.file, 0, 100), "all of it");
  there_.fs->close(opened.file);

  ASSERT_TRUE(here_.write(*made.file, 0, "ALL"));
  ASSERT_TRUE(here_.fs->flush(*made.file, {}));
  const Opened again = there_.open("f");
  EXPECT_EQ(there_.read(*again.file, 0, 100), "ALL of it") << "from now on close tells others";
  there_.fs->close(again.file);
  here_.fs->close(made.file);
  EXPECT_TRUE(cluster_.meta.exists(made.attributes.inode));
}

TEST_F(EngineNamelessTest, WhatIsRemovedHereStillTellsItsAttributes) {
  const FileType types[] = {FileType::directory, FileType::fifo, FileType::regular};
  for (const FileType type : types) {
    const InodeId inode = make(type);
    if (type == FileType::directory) {
      ASSERT_TRUE(here_.fs->remove_directory(kRootInode, "x", {}));
    } else {
      ASSERT_TRUE(here_.fs->unlink(kRootInode, "x", {}));
    }
    ASSERT_FALSE(cluster_.meta.exists(inode));
    const auto found = look(here_, inode);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->type, type);
    EXPECT_EQ(found->nlink, 0U);
    EXPECT_EQ(found->mode, 0750U);
    EXPECT_TRUE(here_.fs->list_xattr(inode, {})->empty());
    EXPECT_EQ(here_.fs->get_xattr(inode, "user.x", {}).error().code, Errc::no_data);
    EXPECT_EQ(error_of_look(there_, inode), Errc::stale) << "others have not seen it go";
  }
}

TEST_F(EngineNamelessTest, WhatIsReplacedHereDoesSoToo) {
  const InodeId replaced = make(FileType::directory, "old");
  make(FileType::directory, "new");
  RenameArgs args;
  args.parent = args.new_parent = kRootInode;
  args.name = "new";
  args.new_name = "old";
  ASSERT_TRUE(here_.fs->rename(args, {}));
  EXPECT_EQ(look(here_, replaced)->nlink, 0U);
}

TEST_F(EngineNamelessTest, WhatIsRemovedHereCanStillBeChanged) {
  const InodeId inode = make(FileType::fifo);
  ASSERT_TRUE(here_.fs->unlink(kRootInode, "x", {}));
  const Attributes before = *look(here_, inode);
  SetAttrArgs args;
  args.inode = inode;
  args.mode = 06711;
  args.mtime = 5;
  ASSERT_TRUE(here_.fs->set_attributes(args, {}));
  EXPECT_EQ(look(here_, inode)->mode, 06711U);
  EXPECT_EQ(look(here_, inode)->mtime, 5);
  EXPECT_GT(look(here_, inode)->ctime, before.ctime);

  SetAttrArgs given;
  given.inode = inode;
  given.uid = 7;
  ASSERT_TRUE(here_.fs->set_attributes(given, {.caller = {5, 5}}));
  EXPECT_EQ(look(here_, inode)->uid, 7U);
  EXPECT_EQ(look(here_, inode)->mode, 0711U) << "set-id bits go with the owner";
  SetAttrArgs cut;
  cut.inode = inode;
  cut.size = 0;
  EXPECT_EQ(here_.fs->set_attributes(cut, {}).error().code, Errc::stale) << "nothing is left to cut";
}

TEST_F(EngineNamelessTest, ARemovedDirectoryIsListedAsEmpty) {
  const InodeId inode = make(FileType::directory);
  ASSERT_TRUE(here_.fs->remove_directory(kRootInode, "x", {}));
  const auto page = here_.fs->read_directory(inode, 0, 100, {});
  ASSERT_TRUE(page);
  EXPECT_TRUE(page->entries.empty());
  EXPECT_TRUE(page->end);
  EXPECT_EQ(there_.fs->read_directory(inode, 0, 100, {}).error().code, Errc::stale);
}

TEST_F(EngineNamelessTest, WhatTheServerStillHasIsAskedThere) {
  const OpenFilePtr file = here_.create("f");
  const InodeId inode = here_.inode_of("f");
  ASSERT_TRUE(here_.fs->unlink(kRootInode, "f", {}));
  SetAttrArgs args;
  args.inode = inode;
  args.mode = 0604;
  ASSERT_TRUE(there_.fs->set_attributes(args, {}));
  EXPECT_EQ(look(here_, inode)->mode, 0604U);
  here_.fs->close(file);
  ASSERT_FALSE(cluster_.meta.exists(inode));
  EXPECT_EQ(look(here_, inode)->mode, 0604U) << "the last that the server told";
}

TEST(RemovedInodes, ForgetTheOneThatWasUsedLeastRecently) {
  RemovedInodes removed(2);
  const auto numbered = [](std::uint64_t number) {
    Attributes attributes;
    attributes.inode = InodeId{number};
    return attributes;
  };
  removed.add(numbered(1));
  removed.add(numbered(2));
  EXPECT_TRUE(removed.find(InodeId{1}));
  removed.add(numbered(3));
  EXPECT_EQ(removed.size(), 2U);
  EXPECT_TRUE(removed.find(InodeId{1}));
  EXPECT_FALSE(removed.find(InodeId{2}));
  EXPECT_TRUE(removed.find(InodeId{3}));
}

}  // namespace
}  // namespace dfs
