// copy_file_range: bytes that two files share.
#include <thread>

#include "tests/unit/common/client/engine_fixture.h"

namespace dfs {
namespace {

class EngineCopyTest : public ::testing::Test {
 protected:
  ~EngineCopyTest() override {
    for (const std::string& violation : cluster_.meta.violations()) ADD_FAILURE() << violation;
  }

  Result<std::uint64_t> copy(const OpenFilePtr& from, std::uint64_t from_offset,
                             const OpenFilePtr& to, std::uint64_t to_offset, std::uint64_t length,
                             const CallContext& context = {}) {
    return mount_.fs->copy_range(*from, *to, {from_offset, to_offset, length}, context);
  }
  OpenFilePtr file_of(const std::string& name, const std::string& text) {
    const OpenFilePtr file = mount_.create(name);
    EXPECT_TRUE(mount_.write(*file, 0, text));
    return file;
  }

  FakeClock clock_;
  FakeCluster cluster_{clock_};
  FakeMount mount_{cluster_};
};

TEST_F(EngineCopyTest, MovesNoBytes) {
  const std::string text = pattern(1 * MiB);
  const OpenFilePtr a = file_of("a", text);
  ASSERT_TRUE(mount_.fs->flush(*a, {}));
  const auto puts = cluster_.storage.puts();
  const OpenFilePtr b = mount_.create("b");
  EXPECT_EQ(*copy(a, 0, b, 0, 2 * MiB), 1 * MiB);
  ASSERT_TRUE(mount_.fs->flush(*b, {}));
  EXPECT_EQ(cluster_.storage.puts(), puts);
  EXPECT_EQ(mount_.read(*b, 0, 2 * MiB), text);
  EXPECT_EQ(mount_.size(mount_.inode_of("b")), 1 * MiB);
  EXPECT_EQ(cluster_.meta.extents(mount_.inode_of("b")), cluster_.meta.extents(mount_.inode_of("a")));
  mount_.fs->close(a);
  mount_.fs->close(b);
}

TEST_F(EngineCopyTest, TakesWhatIsBufferedOfTheSource) {
  const OpenFilePtr a = file_of("a", pattern(5000));
  const OpenFilePtr b = mount_.create("b");
  EXPECT_EQ(*copy(a, 1000, b, 10, 3000), 3000U);
  EXPECT_EQ(mount_.read(*b, 0, 5000), std::string(10, '\0') + pattern(5000).substr(1000, 3000));
  mount_.fs->close(a);
  mount_.fs->close(b);
}

TEST_F(EngineCopyTest, TakesThePlaceOfWhatIsBufferedOfTheTarget) {
  const OpenFilePtr a = file_of("a", std::string(3000, 'a'));
  const OpenFilePtr b = file_of("b", std::string(9000, 'b'));
  EXPECT_EQ(*copy(a, 0, b, 2000, 3000), 3000U);
  const std::string expected =
      std::string(2000, 'b') + std::string(3000, 'a') + std::string(4000, 'b');
  EXPECT_EQ(mount_.read(*b, 0, 10000), expected);
  ASSERT_TRUE(mount_.fs->flush(*b, {}));
  EXPECT_EQ(mount_.read(*b, 0, 10000), expected);
  FakeMount other(cluster_);
  const Opened opened = other.open("b");
  EXPECT_EQ(other.read(*opened.file, 0, 10000), expected);
  other.fs->close(opened.file);
  mount_.fs->close(a);
  mount_.fs->close(b);
}

TEST_F(EngineCopyTest, LeavesEachSideAloneWhenTheOtherIsOverwritten) {
  const OpenFilePtr a = file_of("a", std::string(9000, 'x'));
  const OpenFilePtr b = mount_.create("b");
  EXPECT_EQ(*copy(a, 0, b, 0, 9000), 9000U);
  ASSERT_TRUE(mount_.write(*a, 0, "new a"));
  ASSERT_TRUE(mount_.write(*b, 8995, "new b"));
  ASSERT_TRUE(mount_.fs->sync({}));
  EXPECT_EQ(mount_.read(*a, 0, 10000), "new a" + std::string(8995, 'x'));
  EXPECT_EQ(mount_.read(*b, 0, 10000), std::string(8995, 'x') + "new b");
  ASSERT_TRUE(mount_.fs->unlink(kRootInode, "a", {}));
  mount_.fs->close(a);
  EXPECT_EQ(mount_.read(*b, 0, 10000), std::string(8995, 'x') + "new b");
  mount_.fs->close(b);
}

TEST_F(EngineCopyTest, WorksWithinOneFile) {
  const OpenFilePtr a = file_of("a", pattern(9000));
  EXPECT_EQ(*copy(a, 0, a, 9000, 9000), 9000U);
  EXPECT_EQ(mount_.read(*a, 0, 20000), pattern(9000) + pattern(9000));
  ASSERT_TRUE(mount_.fs->fsync(*a, {}));
  EXPECT_EQ(mount_.read(*a, 0, 20000), pattern(9000) + pattern(9000));
  mount_.fs->close(a);
}

TEST_F(EngineCopyTest, ForgetsOnlyWhatWasCopiedOver) {
  cluster_.meta.set_clone_bytes_max(1000);
  const OpenFilePtr a = file_of("a", std::string(3000, 'a'));
  const OpenFilePtr b = file_of("b", std::string(3000, 'b'));
  EXPECT_EQ(*copy(a, 0, b, 0, 3000), 1000U);
  EXPECT_EQ(mount_.read(*b, 0, 4000), std::string(1000, 'a') + std::string(2000, 'b'));
  mount_.fs->close(a);
  mount_.fs->close(b);
}

TEST_F(EngineCopyTest, AtTheEndOfTheSourceCopiesNothing) {
  const OpenFilePtr a = file_of("a", "12345");
  const OpenFilePtr b = file_of("b", "67890");
  EXPECT_EQ(*copy(a, 5, b, 0, 10), 0U);
  EXPECT_EQ(*copy(a, kFileSizeMax, b, 0, kFileSizeMax), 0U);
  EXPECT_EQ(*copy(a, 0, b, 0, 0), 0U);
  EXPECT_EQ(copy(a, 0, b, kFileSizeMax, 1).error().code, Errc::file_too_big);
  EXPECT_EQ(mount_.read(*b, 0, 10), "67890");
  mount_.fs->close(a);
  mount_.fs->close(b);
}

TEST_F(EngineCopyTest, SetsTheTimesAndTakesSetIdBits) {
  const OpenFilePtr a = file_of("a", "12345");
  const OpenFilePtr b = file_of("b", "67890");
  SetAttrArgs mode;
  mode.inode = mount_.inode_of("b");
  mode.mode = 06755;
  ASSERT_TRUE(mount_.fs->set_attributes(mode, {}));
  clock_.advance(std::chrono::milliseconds{5});
  EXPECT_EQ(*copy(a, 0, b, 0, 5, {{1000, 1000}, nullptr}), 5U);
  const Attributes after = *mount_.fs->get_attributes(mode.inode, {});
  EXPECT_EQ(after.mtime, clock_.wall());
  EXPECT_EQ(after.mode, 0755U);
  mount_.fs->close(a);
  mount_.fs->close(b);
}

TEST_F(EngineCopyTest, ThatIsSyncedMakesTheSharedChunksStable) {
  const OpenFilePtr a = file_of("a", pattern(300 * KiB));
  ASSERT_TRUE(mount_.fs->flush(*a, {}));
  const OpenFilePtr b = mount_.create("b");
  ASSERT_TRUE(copy(a, 0, b, 0, 300 * KiB));
  ASSERT_TRUE(mount_.fs->fsync(*b, {}));
  for (const Extent& extent : cluster_.meta.extents(mount_.inode_of("b"))) {
    for (std::uint32_t server = 1; server <= 3; ++server) {
      EXPECT_TRUE(cluster_.storage.synced(ServerId{server}, extent.chunk));
    }
  }
  EXPECT_GE(cluster_.meta.syncs(), 1U);
  mount_.fs->close(a);
  mount_.fs->close(b);
}

TEST_F(EngineCopyTest, DoesNotKeepTheWritersErrorForItself) {
  const OpenFilePtr a = file_of("a", "12345");
  const OpenFilePtr b = mount_.create("b");
  mount_.meta.refuse<CommitArgs>(1, Errc::no_space);
  EXPECT_EQ(copy(a, 0, b, 0, 5).error().code, Errc::no_space);
  EXPECT_EQ(mount_.fs->fsync(*a, {}).error().code, Errc::no_space);
  EXPECT_TRUE(mount_.fs->fsync(*a, {}));
  mount_.fs->close(a);
  mount_.fs->close(b);
}

TEST_F(EngineCopyTest, NeedsNoRoom) {
  const OpenFilePtr a = file_of("a", "12345");
  ASSERT_TRUE(mount_.fs->flush(*a, {}));
  const OpenFilePtr b = mount_.create("b");
  cluster_.meta.set_full(true);
  EXPECT_EQ(*copy(a, 0, b, 0, 5), 5U);
  EXPECT_EQ(mount_.read(*b, 0, 10), "12345");
  mount_.fs->close(a);
  mount_.fs->close(b);
}

TEST_F(EngineCopyTest, ThatWasGivenUpTakesNothingThatIsWrittenLater) {
  const OpenFilePtr a = file_of("a", "12345");
  ASSERT_TRUE(mount_.fs->flush(*a, {}));
  const OpenFilePtr b = file_of("b", "67890");
  mount_.meta.hold_answers();
  Interrupt interrupt;
  interrupt.interrupt();
  ASSERT_EQ(copy(a, 0, b, 0, 3, {{}, &interrupt}).error().code, Errc::interrupted);
  const CallContext impatient{{}, &interrupt};
  EXPECT_EQ(mount_.fs->write(*b, 0, as_bytes("new"), impatient).error().code, Errc::interrupted)
      << "it would be cut away by the answer";
  mount_.meta.release_answers();
  ASSERT_TRUE(mount_.write(*b, 1, "new"));
  EXPECT_EQ(mount_.read(*b, 0, 10), "1new0");
  ASSERT_TRUE(mount_.fs->fsync(*b, {}));
  EXPECT_EQ(mount_.read(*b, 0, 10), "1new0");
  mount_.fs->close(a);
  mount_.fs->close(b);
}

TEST_F(EngineCopyTest, ThatIsInterruptedStillHappensAndIsTakenIn) {
  const OpenFilePtr a = file_of("a", "12345");
  ASSERT_TRUE(mount_.fs->flush(*a, {}));
  const OpenFilePtr b = file_of("b", "67890");
  mount_.meta.hold_answers();
  Interrupt interrupt;
  std::thread copying([&] {
    const auto copied = copy(a, 0, b, 0, 3, {{}, &interrupt});
    EXPECT_EQ(copied.error().code, Errc::interrupted);
  });
  mount_.meta.await_waiting(1);
  interrupt.interrupt();
  copying.join();
  mount_.meta.release_answers();
  EXPECT_EQ(mount_.read(*b, 0, 10), "12390");
  ASSERT_TRUE(mount_.fs->fsync(*b, {}));
  EXPECT_EQ(mount_.read(*b, 0, 10), "12390");
  mount_.fs->close(a);
  mount_.fs->close(b);
}

}  // namespace
}  // namespace dfs
