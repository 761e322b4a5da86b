// Two mounts of one cluster see each other's closed files.
#include "tests/unit/common/client/engine_fixture.h"

namespace dfs {
namespace {

class EngineTwoMountsTest : public ::testing::Test {
 protected:
  ~EngineTwoMountsTest() override {
    for (const std::string& violation : cluster_.meta.violations()) ADD_FAILURE() << violation;
  }
  void rewrite(FakeMount& mount, const std::string& name, std::uint64_t offset,
               const std::string& text) {
    const Opened opened = mount.open(name, true);
    ASSERT_TRUE(mount.write(*opened.file, offset, text));
    ASSERT_TRUE(mount.fs->flush(*opened.file, {}));
    mount.fs->close(opened.file);
  }
  std::string read_all(FakeMount& mount, const std::string& name) {
    const Opened opened = mount.open(name);
    const std::string text = mount.read(*opened.file, 0, 1 * MiB);
    mount.fs->close(opened.file);
    return text;
  }

  FakeClock clock_;
  FakeCluster cluster_{clock_};
  FakeMount here_{cluster_};
  FakeMount there_{cluster_};
};

TEST_F(EngineTwoMountsTest, SeeEachOthersClosedFiles) {
  here_.fs->close(here_.create("a"));
  rewrite(here_, "a", 0, "one from here");
  EXPECT_EQ(read_all(there_, "a"), "one from here");
  rewrite(there_, "a", 4, "with");
  EXPECT_EQ(read_all(here_, "a"), "one with here");
  rewrite(here_, "a", 0, "two");
  EXPECT_EQ(read_all(there_, "a"), "two with here");
}

TEST_F(EngineTwoMountsTest, KeepTheKernelsPagesOnlyWhileNobodyElseWrote) {
  here_.fs->close(here_.create("a"));
  rewrite(here_, "a", 0, "text");
  Opened opened = here_.open("a");
  EXPECT_TRUE(opened.keep_cache) << "only we wrote";
  here_.fs->close(opened.file);
  rewrite(here_, "a", 0, "more");
  opened = here_.open("a");
  EXPECT_TRUE(opened.keep_cache);
  here_.fs->close(opened.file);
  rewrite(there_, "a", 0, "else");
  opened = here_.open("a");
  EXPECT_FALSE(opened.keep_cache);
  here_.fs->close(opened.file);
  opened = here_.open("a");
  EXPECT_TRUE(opened.keep_cache);
  here_.fs->close(opened.file);
}

TEST_F(EngineTwoMountsTest, NoticeAWriteThatSlippedInBetweenTwoOfTheirOwn) {
  here_.fs->close(here_.create("a"));
  rewrite(here_, "a", 0, "aaaaaaaaaa");
  const Opened mine = here_.open("a", true);
  EXPECT_EQ(here_.read(*mine.file, 0, 20), "aaaaaaaaaa");
  rewrite(there_, "a", 0, "bbb");
  ASSERT_TRUE(here_.write(*mine.file, 8, "cc"));
  ASSERT_TRUE(here_.fs->flush(*mine.file, {}));
  EXPECT_EQ(here_.read(*mine.file, 0, 20), "bbbaaaaacc");
  here_.fs->close(mine.file);
}

TEST_F(EngineTwoMountsTest, ReadOnWhenAFileIsRewrittenUnderThem) {
  here_.fs->close(here_.create("a"));
  rewrite(here_, "a", 0, std::string(100000, 'x'));
  const Opened reading = there_.open("a");
  // The old chunk is deleted from the servers at once.
  rewrite(here_, "a", 0, std::string(100000, 'y'));
  EXPECT_EQ(there_.read(*reading.file, 0, 100000), std::string(100000, 'y'));
  there_.fs->close(reading.file);
}

TEST_F(EngineTwoMountsTest, DoNotOpenWhatTheyFindRemoved) {
  here_.fs->close(here_.create("a"));
  const Opened held = there_.open("a");
  ASSERT_TRUE(here_.fs->unlink(kRootInode, "a", {}));
  const Result<Opened> opened = here_.fs->open(held.attributes.inode, {}, {});
  ASSERT_FALSE(opened) << "by a name that is out of date";
  EXPECT_EQ(opened.error().code, Errc::stale);
  const Result<Opened> again = there_.fs->open(held.attributes.inode, {}, {});
  ASSERT_TRUE(again) << "as /proc/self/fd does";
  there_.fs->close(again->file);
  there_.fs->close(held.file);
}

TEST_F(EngineTwoMountsTest, ShowWhatTheOtherOneTruncated) {
  here_.fs->close(here_.create("a"));
  rewrite(here_, "a", 0, "long enough");
  EXPECT_EQ(read_all(there_, "a"), "long enough");
  there_.fs->close(there_.open("a", true, true).file);
  EXPECT_EQ(read_all(here_, "a"), "");
  rewrite(here_, "a", 2, "x");
  EXPECT_EQ(read_all(there_, "a"), std::string("\0\0x", 3));
}

TEST_F(EngineTwoMountsTest, TellASessionWhatTheyHoldAndDoubtTheirCachesAfterItWasLost) {
  const OpenFilePtr one = here_.create("a");
  const OpenFilePtr two = here_.open("a", true).file;
  const InodeId inode = here_.inode_of("a");
  EXPECT_EQ(here_.fs->held_inodes(), (std::vector<InodeId>{inode, inode}));
  ASSERT_TRUE(here_.write(*one, 0, "mine"));
  rewrite(there_, "a", 4, "others'");
  here_.fs->session_replaced();
  EXPECT_EQ(here_.size(inode), 11U);
  EXPECT_EQ(here_.read(*one, 0, 20), "mineothers'") << "what is buffered stays";
  ASSERT_TRUE(here_.fs->flush(*one, {}));
  here_.fs->close(one);
  here_.fs->close(two);
  EXPECT_TRUE(here_.fs->held_inodes().empty());
  EXPECT_EQ(read_all(there_, "a"), "mineothers'");
}

}  // namespace
}  // namespace dfs
