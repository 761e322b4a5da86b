// Every wait ends when a signal says so, and nothing is lost by that.
#include <thread>

#include "tests/unit/common/client/engine_fixture.h"

namespace dfs {
namespace {

class EngineInterruptTest : public ::testing::Test {
 protected:
  ~EngineInterruptTest() override {
    for (const std::string& violation : cluster_.meta.violations()) ADD_FAILURE() << violation;
  }
  void hold_all(bool holds) {
    for (std::uint32_t id = 1; id <= 3; ++id) {
      cluster_.storage.change(ServerId{id}, [holds](FakeServerMood& m) { m.holds = holds; });
    }
  }
  CallContext interruptible() { return {{}, &interrupt_}; }

  SystemClock clock_;
  FakeCluster cluster_{clock_};
  FakeMount mount_{cluster_};
  Interrupt interrupt_;
};

TEST_F(EngineInterruptTest, EndsAFlushThatWaitsForStorageAndKeepsTheBytes) {
  const OpenFilePtr file = mount_.create("a");
  ASSERT_TRUE(mount_.write(*file, 0, pattern(3000)));
  hold_all(true);
  std::thread signal([&] {
    cluster_.storage.await([](const FakeStoragePool& pool) { return pool.waiting() == 1; });
    interrupt_.interrupt();
  });
  EXPECT_EQ(mount_.fs->flush(*file, interruptible()).error().code, Errc::interrupted);
  signal.join();
  hold_all(false);
  ASSERT_TRUE(mount_.fs->flush(*file, {}));
  EXPECT_EQ(mount_.read(*file, 0, 4000), pattern(3000));
  mount_.fs->close(file);
}

TEST_F(EngineInterruptTest, EndsAReadThatWaitsForStorage) {
  const OpenFilePtr file = mount_.create("a");
  ASSERT_TRUE(mount_.write(*file, 0, pattern(3000)));
  ASSERT_TRUE(mount_.fs->flush(*file, {}));
  hold_all(true);
  std::thread signal([&] {
    cluster_.storage.await([](const FakeStoragePool& pool) { return pool.waiting() == 1; });
    interrupt_.interrupt();
  });
  std::byte byte{};
  EXPECT_EQ(mount_.fs->read(*file, 0, MutableBuffer(&byte, 1), interruptible()).error().code,
            Errc::interrupted);
  signal.join();
  hold_all(false);
  EXPECT_EQ(mount_.read(*file, 0, 4000), pattern(3000));
  mount_.fs->close(file);
}

TEST_F(EngineInterruptTest, EndsAWriteThatWaitsForRoom) {
  const OpenFilePtr file = mount_.create("a");
  hold_all(true);
  std::thread signal([&] {
    cluster_.storage.await([](const FakeStoragePool& pool) { return pool.waiting() >= 8; });
    interrupt_.interrupt();
  });
  const std::string text = pattern(256 * KiB);
  Result<void> result;
  std::uint64_t at = 0;
  while (result) {
    result = mount_.fs->write(*file, at, as_bytes(text), interruptible());
    if (result) at += text.size();
  }
  signal.join();
  EXPECT_EQ(result.error().code, Errc::interrupted);
  EXPECT_LE(at, 4 * MiB);
  EXPECT_EQ(mount_.size(mount_.inode_of("a")), at) << "nothing of the interrupted write";
  hold_all(false);
  ASSERT_TRUE(mount_.fs->fsync(*file, {}));
  mount_.fs->close(file);
}

TEST_F(EngineInterruptTest, TakesInTheAnswerToACommitThatNobodyWaitedFor) {
  const OpenFilePtr file = mount_.create("a");
  ASSERT_TRUE(mount_.write(*file, 0, pattern(3000)));
  mount_.meta.hold_answers();
  std::thread signal([&] {
    // The allocation first, then the commit.
    while (cluster_.meta.commits() == 0 && cluster_.meta.allocations() == 0) std::this_thread::yield();
    interrupt_.interrupt();
  });
  EXPECT_EQ(mount_.fs->flush(*file, interruptible()).error().code, Errc::interrupted);
  signal.join();
  mount_.meta.release_answers();
  ASSERT_TRUE(mount_.fs->flush(*file, {}));
  EXPECT_EQ(mount_.read(*file, 0, 4000), pattern(3000));
  EXPECT_EQ(cluster_.meta.extents(mount_.inode_of("a")).size(), 1U);
  mount_.fs->close(file);
}

TEST_F(EngineInterruptTest, KeepsWhatIsWrittenAfterATruncationWasGivenUp) {
  const OpenFilePtr file = mount_.create("a");
  ASSERT_TRUE(mount_.write(*file, 0, "12345"));
  ASSERT_TRUE(mount_.fs->flush(*file, {}));
  SetAttrArgs cut;
  cut.inode = mount_.inode_of("a");
  cut.size = 2;
  mount_.meta.hold_answers();
  interrupt_.interrupt();
  ASSERT_EQ(mount_.fs->set_attributes(cut, interruptible()).error().code, Errc::interrupted);
  EXPECT_EQ(mount_.fs->write(*file, 1, as_bytes("new"), interruptible()).error().code,
            Errc::interrupted)
      << "it would be cut away by the answer";
  mount_.meta.release_answers();
  ASSERT_TRUE(mount_.write(*file, 1, "new"));
  ASSERT_TRUE(mount_.fs->fsync(*file, {}));
  EXPECT_EQ(mount_.read(*file, 0, 10), "1new");
  mount_.fs->close(file);
}

TEST_F(EngineInterruptTest, CommitsOnceThoughTheWaiterWasInterrupted) {
  const OpenFilePtr file = mount_.create("a");
  ASSERT_TRUE(mount_.write(*file, 0, "first"));
  ASSERT_TRUE(mount_.fs->flush(*file, {}));  // chunk ids are in stock now
  ASSERT_TRUE(mount_.write(*file, 0, "again"));
  mount_.meta.hold_answers();
  std::thread signal([&] {
    while (cluster_.meta.commits() < 2) std::this_thread::yield();
    interrupt_.interrupt();
  });
  EXPECT_EQ(mount_.fs->flush(*file, interruptible()).error().code, Errc::interrupted);
  signal.join();
  std::thread answers([&] { mount_.meta.release_answers(); });
  ASSERT_TRUE(mount_.fs->flush(*file, {}));
  answers.join();
  EXPECT_EQ(cluster_.meta.commits(), 2U);
  EXPECT_EQ(mount_.read(*file, 0, 10), "again");
  mount_.fs->close(file);
}

TEST_F(EngineInterruptTest, NeverSendsACommitWhileAnEarlierOneOfTheFileIsUnanswered) {
  const OpenFilePtr file = mount_.create("a");
  ASSERT_TRUE(mount_.write(*file, 0, "first"));
  ASSERT_TRUE(mount_.fs->flush(*file, {}));  // chunk ids are in stock now
  ASSERT_TRUE(mount_.write(*file, 0, "second"));
  mount_.meta.hold_answers();
  std::thread one([&] { EXPECT_TRUE(mount_.fs->flush(*file, {})); });
  mount_.meta.await_waiting(1);
  ASSERT_TRUE(mount_.write(*file, 2, "third"));
  std::thread two([&] { EXPECT_TRUE(mount_.fs->fsync(*file, {})); });
  cluster_.storage.await([](const FakeStoragePool& pool) { return pool.puts() >= 3; });
  for (int i = 0; i < 1000; ++i) std::this_thread::yield();  // time to do wrong
  mount_.meta.release_answers();
  one.join();
  two.join();
  EXPECT_FALSE(mount_.meta.commits_overlapped());
  EXPECT_EQ(mount_.read(*file, 0, 20), "sethird");
  mount_.fs->close(file);
}

TEST_F(EngineInterruptTest, ReleasesAnOpenThatNobodyWaitedFor) {
  mount_.fs->close(mount_.create("a"));
  const InodeId inode = mount_.inode_of("a");
  EXPECT_EQ(cluster_.meta.opens(inode), 0U);
  mount_.meta.hold_answers();
  std::thread signal([&] {
    mount_.meta.await_waiting(1);
    interrupt_.interrupt();
  });
  EXPECT_EQ(mount_.fs->open(inode, {}, interruptible()).error().code, Errc::interrupted);
  signal.join();
  mount_.meta.release_answers();
  EXPECT_EQ(cluster_.meta.opens(inode), 0U);
}

TEST_F(EngineInterruptTest, TellsTheSpaceThatItKnowsWhenTheServerIsSilent) {
  ClientConfig config = small_config();
  config.stat_fs_timeout = std::chrono::milliseconds{1};
  FakeMount mount(cluster_, config);
  const auto told = mount.fs->stat_fs({});
  ASSERT_TRUE(told);
  mount.meta.set_away(true);
  const auto known = mount.fs->stat_fs({});
  ASSERT_TRUE(known) << known.error().to_string();
  EXPECT_EQ(known->bytes_available, told->bytes_available);
}

}  // namespace
}  // namespace dfs
