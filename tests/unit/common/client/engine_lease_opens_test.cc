// Files that are opened without a word, under a lease: what the server has to know
// of them it is told before it matters.
#include <thread>

#include "tests/unit/common/client/engine_leases_fixture.h"

namespace dfs {
namespace {

class EngineLeaseOpensTest : public LeasedMounts {
 protected:
  EngineLeaseOpensTest() {
    write_file(here_, "a", "text");
    inode_ = there_.inode_of("a");
    EXPECT_EQ(here_.inode_of("a"), inode_);
    read_file(here_, "a");
  }
  OpenFilePtr open_without_a_word() {
    OpenFilePtr file;
    EXPECT_EQ(calls([&] { file = here_.open("a").file; }), 0U);
    return file;
  }
  std::size_t opens() { return cluster_.meta.opens(inode_); }

  InodeId inode_;
};

TEST_F(EngineLeaseOpensTest, AFileThatIsRemovedHereGoesOn) {
  const OpenFilePtr file = open_without_a_word();
  ASSERT_TRUE(here_.fs->unlink(kRootInode, "a", {}));
  ASSERT_TRUE(cluster_.meta.exists(inode_));
  EXPECT_EQ(opens(), 1U) << "told now";
  EXPECT_EQ(here_.read(*file, 0, 100), "text");
  EXPECT_EQ(here_.fs->get_attributes(inode_, {})->nlink, 0U);
  here_.fs->close(file);
  EXPECT_FALSE(cluster_.meta.exists(inode_));
}

TEST_F(EngineLeaseOpensTest, SoDoesOneThatIsReplacedHere) {
  const OpenFilePtr file = open_without_a_word();
  write_file(here_, "b", "another");
  ASSERT_TRUE(here_.fs->rename({kRootInode, "b", kRootInode, "a"}, {}));
  EXPECT_EQ(here_.read(*file, 0, 100), "text");
  EXPECT_EQ(read_file(here_, "a"), "another");
  here_.fs->close(file);
  EXPECT_FALSE(cluster_.meta.exists(inode_));
}

TEST_F(EngineLeaseOpensTest, AFileThatIsRemovedElsewhereGoesOn) {
  const OpenFilePtr one = open_without_a_word();
  const OpenFilePtr two = open_without_a_word();
  ASSERT_TRUE(there_.fs->unlink(kRootInode, "a", {}));
  EXPECT_EQ(opens(), 2U) << "told with the lease that goes back";
  EXPECT_EQ(here_.read(*one, 0, 100), "text");
  here_.fs->close(one);
  EXPECT_TRUE(await([&] { return opens() == 1; }));
  here_.fs->close(two);
  EXPECT_TRUE(await([&] { return !cluster_.meta.exists(inode_); }));
}

TEST_F(EngineLeaseOpensTest, WhatIsNotOpenIsGoneAtOnce) {
  here_.fs->close(open_without_a_word());
  ASSERT_TRUE(here_.fs->unlink(kRootInode, "a", {}));
  EXPECT_FALSE(cluster_.meta.exists(inode_));
  EXPECT_EQ(here_.meta.calls<HoldArgs>(), 0U);
}

TEST_F(EngineLeaseOpensTest, OnlyAsManyOpensAreReleasedAsTheServerKnows) {
  const OpenFilePtr one = open_without_a_word();
  const OpenFilePtr two = open_without_a_word();
  change_mode(there_, inode_, 0600);
  EXPECT_EQ(opens(), 2U) << "told with the lease that goes back";
  here_.inode_of("a");
  const OpenFilePtr three = open_without_a_word();
  const std::size_t releases = here_.meta.calls<ReleaseArgs>();
  here_.fs->close(one);
  EXPECT_EQ(here_.meta.calls<ReleaseArgs>(), releases) << "two are open, whichever";
  here_.fs->close(two);
  EXPECT_TRUE(await([&] { return opens() == 1; }));
  here_.fs->close(three);
  EXPECT_TRUE(await([&] { return opens() == 0; }));
}

// The call that removes it is on its way when somebody opens it.
TEST_F(EngineLeaseOpensTest, WhatIsBeingRemovedHereIsOpenedByAskingOnly) {
  here_.meta.hold_answers();
  std::thread remover([&] { EXPECT_TRUE(here_.fs->unlink(kRootInode, "a", {})); });
  here_.meta.await_waiting(1);
  Result<Opened> opened = fail(Errc::ok);
  std::thread opener([&] { opened = here_.fs->open(inode_, {}, {}); });
  here_.meta.await_waiting(2);
  here_.meta.release_answers();
  remover.join();
  opener.join();
  ASSERT_FALSE(opened) << "nobody would have kept it for us";
  EXPECT_EQ(opened.error().code, Errc::stale);
}

TEST_F(EngineLeaseOpensTest, WhatHasNoNameIsReadAndWrittenUnderALease) {
  const OpenFilePtr file = here_.open("a", true).file;
  ASSERT_TRUE(here_.write(*file, 0, "TEXT"));
  ASSERT_TRUE(here_.fs->unlink(kRootInode, "a", {}));
  EXPECT_EQ(calls([&] { EXPECT_EQ(here_.read(*file, 0, 100), "TEXT"); }), 1U) << "asked once";
  EXPECT_EQ(calls([&] {
              ASSERT_TRUE(here_.write(*file, 4, " and more"));
              EXPECT_EQ(here_.read(*file, 0, 100), "TEXT and more");
            }),
            0U);
  ASSERT_TRUE(here_.fs->fsync(*file, {}));
  EXPECT_EQ(here_.read(*file, 0, 100), "TEXT and more");
  here_.fs->close(file);

  OpenOptions options;
  options.write = true;
  const auto made = here_.fs->create_unnamed(kRootInode, 0600, options, {});
  ASSERT_TRUE(made);
  ASSERT_TRUE(here_.write(*made->file, 0, "never had one"));
  EXPECT_EQ(here_.read(*made->file, 0, 100), "never had one");
  here_.fs->close(made->file);
  EXPECT_TRUE(here_.fs->lease_hooks().claims().write.empty()) << "nobody asks for it back";
}

TEST_F(EngineLeaseOpensTest, WhatWasWrittenAndHasNoNameIsSeenByWhoHasItOpenElsewhere) {
  const OpenFilePtr mine = here_.open("a", true).file;
  const OpenFilePtr theirs = there_.open("a", true).file;
  ASSERT_TRUE(here_.write(*mine, 0, "TEXT"));
  ASSERT_TRUE(here_.fs->unlink(kRootInode, "a", {}));
  EXPECT_EQ(there_.read(*theirs, 0, 100), "TEXT");
  ASSERT_TRUE(there_.write(*theirs, 4, " and more"));
  EXPECT_EQ(here_.read(*mine, 0, 100), "TEXT and more");
  here_.fs->close(mine);
  there_.fs->close(theirs);
}

TEST_F(EngineLeaseOpensTest, ANewConnectionIsToldOfAllThatIsOpen) {
  const OpenFilePtr file = open_without_a_word();
  EXPECT_EQ(here_.fs->held_inodes(), std::vector<InodeId>{inode_});
  here_.meta.reconnect();
  const std::size_t releases = here_.meta.calls<ReleaseArgs>();
  here_.fs->close(file);
  EXPECT_EQ(here_.meta.calls<ReleaseArgs>(), releases + 1) << "the server knew of it by then";
}

}  // namespace
}  // namespace dfs
