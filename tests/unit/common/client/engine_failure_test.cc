// Servers that are silent, full, slow, wrong or forgetful.
#include <thread>

#include "tests/unit/common/client/engine_fixture.h"

namespace dfs {
namespace {

// Retries pause for some milliseconds: these tests run on the real clock but
// judge only what happens, not when.
class EngineFailureTest : public ::testing::Test {
 protected:
  ~EngineFailureTest() override {
    for (const std::string& violation : cluster_.meta.violations()) ADD_FAILURE() << violation;
  }
  void mood(std::uint32_t server, const std::function<void(FakeServerMood&)>& change) {
    cluster_.storage.change(ServerId{server}, change);
  }
  void all(const std::function<void(FakeServerMood&)>& change) {
    for (std::uint32_t id = 1; id <= 3; ++id) mood(id, change);
  }

  SystemClock clock_;
  FakeCluster cluster_{clock_};
};

TEST_F(EngineFailureTest, WritesToTheOtherMembersWhenOneIsSilentAndSaysSo) {
  FakeMount mount(cluster_);
  mood(2, [](FakeServerMood& m) { m.silent = true; });
  for (int i = 0; i < 4; ++i) {  // whoever goes first
    const OpenFilePtr file = mount.create("f" + std::to_string(i));
    ASSERT_TRUE(mount.write(*file, 0, pattern(3000)));
    ASSERT_TRUE(mount.fs->fsync(*file, {}));
    EXPECT_EQ(mount.read(*file, 0, 4000), pattern(3000));
    mount.fs->close(file);
  }
  const auto placements = cluster_.meta.placements();
  ASSERT_EQ(placements.size(), 4U);
  for (const ChunkPlacement& placement : placements) {
    EXPECT_EQ(placement.missing_on, std::vector<ServerId>{ServerId{2}});
  }
}

TEST_F(EngineFailureTest, AcceptsOneCopyWhenNoBetterGroupExists) {
  FakeMount mount(cluster_);
  mood(1, [](FakeServerMood& m) { m.silent = true; });
  mood(3, [](FakeServerMood& m) { m.silent = true; });
  const OpenFilePtr file = mount.create("a");
  ASSERT_TRUE(mount.write(*file, 0, pattern(3000)));
  ASSERT_TRUE(mount.fs->fsync(*file, {}));
  EXPECT_EQ(cluster_.meta.placements().back().missing_on.size(), 2U);
  EXPECT_EQ(mount.read(*file, 0, 3000), pattern(3000));
  mount.fs->close(file);
}

TEST(EngineGroups, TakesAnotherGroupWhenOneHasTooFewMembers) {
  SystemClock clock;
  FakeCluster cluster(clock, 6, {{1, 2, 3}, {4, 5, 6}});
  FakeMount mount(cluster);
  for (const std::uint32_t id : {1U, 3U}) {
    cluster.storage.change(ServerId{id}, [](FakeServerMood& m) { m.silent = true; });
  }
  for (int i = 0; i < 6; ++i) {
    const OpenFilePtr file = mount.create("f" + std::to_string(i));
    ASSERT_TRUE(mount.write(*file, 0, pattern(3000)));
    ASSERT_TRUE(mount.fs->fsync(*file, {}));
    const auto extents = cluster.meta.extents(mount.inode_of("f" + std::to_string(i)));
    ASSERT_EQ(extents.size(), 1U);
    EXPECT_EQ(extents[0].chunk.group(), GroupId{2});
    mount.fs->close(file);
  }
  EXPECT_TRUE(cluster.meta.violations().empty());
}

TEST_F(EngineFailureTest, WaitsForServersThatComeBack) {
  FakeMount mount(cluster_);
  all([](FakeServerMood& m) { m.silent = true; });
  const OpenFilePtr file = mount.create("a");
  ASSERT_TRUE(mount.write(*file, 0, pattern(300000)));
  std::thread back([&] {
    cluster_.storage.await([](const FakeStoragePool& pool) { return pool.puts() >= 6; });
    all([](FakeServerMood& m) { m.silent = false; });
  });
  ASSERT_TRUE(mount.fs->fsync(*file, {}));
  back.join();
  EXPECT_EQ(mount.read(*file, 0, 300000), pattern(300000));
  mount.fs->close(file);
}

TEST_F(EngineFailureTest, WaitsForAMetadataServerThatComesBack) {
  FakeMount mount(cluster_);
  const OpenFilePtr file = mount.create("a");
  ASSERT_TRUE(mount.write(*file, 0, pattern(3000)));
  mount.meta.set_away(true);
  std::thread back([&] {
    mount.meta.await_waiting(1);
    mount.meta.set_away(false);
  });
  ASSERT_TRUE(mount.fs->flush(*file, {}));
  back.join();
  mount.fs->close(file);
}

TEST_F(EngineFailureTest, UploadsAgainWhenTheReplyWasLost) {
  FakeMount mount(cluster_);
  all([](FakeServerMood& m) { m.lose_put_replies = 1; });
  const OpenFilePtr file = mount.create("a");
  ASSERT_TRUE(mount.write(*file, 0, pattern(3000)));
  ASSERT_TRUE(mount.fs->fsync(*file, {}));
  EXPECT_EQ(mount.read(*file, 0, 3000), pattern(3000));
  EXPECT_EQ(cluster_.meta.extents(mount.inode_of("a")).size(), 1U);
  mount.fs->close(file);
}

TEST_F(EngineFailureTest, SendsUnderTheNextSessionWhatTheLastOneMayNotSendAnyMore) {
  FakeMount mount(cluster_);
  const OpenFilePtr file = mount.create("a");
  ASSERT_TRUE(mount.write(*file, 0, pattern(3000)));
  all([](FakeServerMood& m) { m.holds = true; });
  std::thread ending([&] {
    cluster_.storage.await([](const FakeStoragePool& pool) { return pool.waiting() > 0; });
    cluster_.storage.end_session(mount.meta.session());
    mount.meta.replace_session();
    all([](FakeServerMood& m) { m.holds = false; });
  });
  ASSERT_TRUE(mount.fs->fsync(*file, {}));
  ending.join();
  EXPECT_EQ(cluster_.storage.puts(), 2U) << "and at once";
  EXPECT_EQ(cluster_.meta.allocations(), 1U) << "under the same name";
  ASSERT_EQ(cluster_.meta.placements().size(), 0U) << "no server is taken for a failed one";
  EXPECT_EQ(mount.read(*file, 0, 4000), pattern(3000));
  mount.fs->close(file);
}

TEST_F(EngineFailureTest, WaitsForTheNextSessionWhenTheLastOneHasEnded) {
  FakeMount mount(cluster_);
  const OpenFilePtr file = mount.create("a");
  ASSERT_TRUE(mount.write(*file, 0, pattern(3000)));
  cluster_.storage.end_session(mount.meta.session());
  std::thread next([&] {
    cluster_.storage.await([](const FakeStoragePool& pool) { return pool.puts() >= 3; });
    mount.meta.replace_session();
  });
  ASSERT_TRUE(mount.fs->fsync(*file, {}));
  next.join();
  EXPECT_EQ(cluster_.meta.allocations(), 1U);
  EXPECT_EQ(cluster_.meta.placements().size(), 0U);
  EXPECT_EQ(mount.read(*file, 0, 4000), pattern(3000));
  mount.fs->close(file);
}

TEST_F(EngineFailureTest, ASoftMountDoesNotWaitForTheNextSessionForEver) {
  ClientConfig config = small_config();
  config.soft_timeout = std::chrono::milliseconds{60};
  FakeMount mount(cluster_, config);
  const OpenFilePtr file = mount.create("a");
  ASSERT_TRUE(mount.write(*file, 0, "lost"));
  cluster_.storage.end_session(mount.meta.session());
  EXPECT_EQ(mount.fs->flush(*file, {}).error().code, Errc::timed_out);
  mount.meta.replace_session();
  ASSERT_TRUE(mount.write(*file, 0, "kept"));
  ASSERT_TRUE(mount.fs->flush(*file, {}));
  EXPECT_EQ(mount.read(*file, 0, 10), "kept");
  mount.fs->close(file);
}

TEST_F(EngineFailureTest, TakesAnotherNameWhenOtherBytesHaveIt) {
  FakeMount mount(cluster_);
  all([](FakeServerMood& m) {
    m.fail_puts = 1;
    m.put_error = Errc::exists;
  });
  const OpenFilePtr file = mount.create("a");
  ASSERT_TRUE(mount.write(*file, 0, pattern(3000)));
  ASSERT_TRUE(mount.fs->flush(*file, {}));
  mount.fs->close(file);
}

TEST_F(EngineFailureTest, TellsAFullClusterOnceAndThenRefusesWritesAtOnce) {
  FakeMount mount(cluster_);
  const OpenFilePtr file = mount.create("a");
  ASSERT_TRUE(mount.write(*file, 0, pattern(3000)));
  all([](FakeServerMood& m) { m.full = true; });
  const auto flushed = mount.fs->flush(*file, {});
  ASSERT_FALSE(flushed);
  EXPECT_EQ(flushed.error().code, Errc::no_space);
  EXPECT_EQ(mount.write(*file, 0, "x").error().code, Errc::no_space);
  EXPECT_TRUE(mount.fs->flush(*file, {})) << "an error is told once";
  EXPECT_EQ(mount.read(*file, 0, 10), "");
  mount.fs->close(file);
}

TEST(EngineFull, WritesAgainWhenThereIsSpaceAgain) {
  FakeClock clock;
  FakeCluster cluster(clock);
  FakeMount mount(cluster);
  const OpenFilePtr file = mount.create("a");
  cluster.meta.set_full(true);
  ASSERT_TRUE(mount.write(*file, 0, "x"));
  EXPECT_EQ(mount.fs->flush(*file, {}).error().code, Errc::no_space);
  EXPECT_EQ(mount.write(*file, 0, "y").error().code, Errc::no_space);
  cluster.meta.set_full(false);
  clock.advance(std::chrono::seconds{2});
  ASSERT_TRUE(mount.write(*file, 0, "z"));
  ASSERT_TRUE(mount.fs->flush(*file, {}));
  EXPECT_EQ(mount.read(*file, 0, 10), "z");
  mount.fs->close(file);
}

TEST_F(EngineFailureTest, FailsASoftMountAfterItsTimeAndKeepsServing) {
  ClientConfig config = small_config();
  config.soft_timeout = std::chrono::milliseconds{60};
  FakeMount mount(cluster_, config);
  const OpenFilePtr file = mount.create("a");
  ASSERT_TRUE(mount.write(*file, 0, "lost"));
  all([](FakeServerMood& m) { m.silent = true; });
  EXPECT_EQ(mount.fs->flush(*file, {}).error().code, Errc::timed_out);
  all([](FakeServerMood& m) { m.silent = false; });
  ASSERT_TRUE(mount.write(*file, 0, "kept"));
  ASSERT_TRUE(mount.fs->flush(*file, {}));
  EXPECT_EQ(mount.read(*file, 0, 10), "kept");
  mount.fs->close(file);
}

TEST_F(EngineFailureTest, ReadsFromAnotherReplicaAndReportsTheBadOne) {
  const std::string text = pattern(700000);
  {
    FakeMount mount(cluster_);
    const OpenFilePtr file = mount.create("a");
    ASSERT_TRUE(mount.write(*file, 0, text));
    ASSERT_TRUE(mount.fs->flush(*file, {}));
    mount.fs->close(file);
  }
  mood(1, [](FakeServerMood& m) { m.corrupts = true; });
  cluster_.storage.forget_chunks(ServerId{2});
  FakeMount mount(cluster_);
  const Opened opened = mount.open("a");
  EXPECT_TRUE(mount.read(*opened.file, 0, 700000) == text);
  for (const ReportArgs& report : cluster_.meta.reports()) {
    EXPECT_NE(report.server, ServerId{3});
    EXPECT_EQ(report.problem.code,
              report.server == ServerId{1} ? Errc::corrupt : Errc::not_found);
  }
  EXPECT_FALSE(cluster_.meta.reports().empty());
  mount.fs->close(opened.file);
}

TEST_F(EngineFailureTest, SaysIoErrorWhenNoReplicaHasTheBytes) {
  FakeMount mount(cluster_);
  const OpenFilePtr file = mount.create("a");
  ASSERT_TRUE(mount.write(*file, 0, pattern(3000)));
  ASSERT_TRUE(mount.fs->flush(*file, {}));
  for (std::uint32_t id = 1; id <= 3; ++id) cluster_.storage.forget_chunks(ServerId{id});
  std::byte byte{};
  const auto read = mount.fs->read(*file, 0, MutableBuffer(&byte, 1), {});
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Errc::io);
  mount.fs->close(file);
}

TEST_F(EngineFailureTest, SaysIoErrorWhenEveryDiskSaysSo) {
  FakeMount mount(cluster_);
  const OpenFilePtr file = mount.create("a");
  ASSERT_TRUE(mount.write(*file, 0, pattern(3000)));
  ASSERT_TRUE(mount.fs->flush(*file, {}));
  all([](FakeServerMood& m) { m.unreadable = true; });
  cluster_.storage.forget_chunks(ServerId{2});
  std::byte byte{};
  const auto read = mount.fs->read(*file, 0, MutableBuffer(&byte, 1), {});
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Errc::io);
  EXPECT_EQ(cluster_.meta.reports().size(), 3U);
  mood(3, [](FakeServerMood& m) { m.unreadable = false; });
  EXPECT_EQ(mount.read(*file, 0, 3000), pattern(3000)) << "nothing is held against it for ever";
  mount.fs->close(file);
}

TEST_F(EngineFailureTest, WaitsForAServerThatMayHaveWhatAnothersDiskDoesNotRead) {
  FakeMount mount(cluster_);
  const OpenFilePtr file = mount.create("a");
  ASSERT_TRUE(mount.write(*file, 0, pattern(3000)));
  ASSERT_TRUE(mount.fs->flush(*file, {}));
  all([](FakeServerMood& m) { m.unreadable = true; });
  mood(3, [](FakeServerMood& m) { m.silent = true; });
  std::thread back([&] {
    cluster_.storage.await([](const FakeStoragePool& pool) { return pool.gets() >= 4; });
    all([](FakeServerMood& m) { m.silent = m.unreadable = false; });
  });
  EXPECT_EQ(mount.read(*file, 0, 3000), pattern(3000));
  back.join();
  mount.fs->close(file);
}

TEST_F(EngineFailureTest, ReadsOnceAServerIsBack) {
  FakeMount mount(cluster_);
  const OpenFilePtr file = mount.create("a");
  ASSERT_TRUE(mount.write(*file, 0, pattern(3000)));
  ASSERT_TRUE(mount.fs->flush(*file, {}));
  all([](FakeServerMood& m) { m.silent = true; });
  std::thread back([&] {
    cluster_.storage.await([](const FakeStoragePool& pool) { return pool.gets() >= 4; });
    mood(3, [](FakeServerMood& m) { m.silent = false; });
  });
  EXPECT_EQ(mount.read(*file, 0, 3000), pattern(3000));
  back.join();
  mount.fs->close(file);
}

TEST(EngineHedge, AsksASecondReplicaWhenTheFirstIsSlow) {
  FakeClock clock;
  FakeCluster cluster(clock);
  FakeMount mount(cluster);
  const OpenFilePtr file = mount.create("a");
  ASSERT_TRUE(mount.write(*file, 0, pattern(3000)));
  ASSERT_TRUE(mount.fs->flush(*file, {}));
  const ChunkId chunk = cluster.meta.extents(mount.inode_of("a"))[0].chunk;
  const ServerId first{1 + static_cast<std::uint32_t>((3 - chunk.serial() % 3) % 3)};
  cluster.storage.change(first, [](FakeServerMood& m) { m.holds = true; });
  std::thread later([&] {
    cluster.storage.await([](const FakeStoragePool& pool) { return pool.waiting() == 1; });
    clock.advance(std::chrono::seconds{1});
  });
  EXPECT_EQ(mount.read(*file, 0, 3000), pattern(3000));
  later.join();
  EXPECT_EQ(cluster.storage.gets(), 1U) << "the held one has not been served";
  cluster.storage.change(first, [](FakeServerMood& m) { m.holds = false; });
  mount.fs->close(file);
}

TEST_F(EngineFailureTest, RefusesACommitOnceAndKeepsTheOtherFilesOfTheBatch) {
  FakeMount mount(cluster_);
  const OpenFilePtr good = mount.create("good");
  const OpenFilePtr gone = mount.create("gone");
  ASSERT_TRUE(mount.write(*good, 0, "good"));
  ASSERT_TRUE(mount.write(*gone, 0, "gone"));
  mount.meta.refuse<CommitArgs>(1, Errc::quota);
  // One of the two is refused; the other one, and the next try, succeed.
  const auto a = mount.fs->flush(*good, {});
  const auto b = mount.fs->flush(*gone, {});
  EXPECT_NE(a.has_value(), b.has_value());
  EXPECT_EQ((a ? b : a).error().code, Errc::quota);
  mount.fs->close(good);
  mount.fs->close(gone);
}

TEST_F(EngineFailureTest, SharesOneFetchBetweenReaders) {
  FakeMount mount(cluster_);
  const OpenFilePtr file = mount.create("a");
  ASSERT_TRUE(mount.write(*file, 0, pattern(60000)));
  ASSERT_TRUE(mount.fs->flush(*file, {}));
  all([](FakeServerMood& m) { m.holds = true; });
  std::vector<std::thread> readers;
  for (int i = 0; i < 4; ++i) {
    readers.emplace_back([&] { EXPECT_EQ(mount.read(*file, 0, 60000), pattern(60000)); });
  }
  cluster_.storage.await([](const FakeStoragePool& pool) { return pool.waiting() == 1; });
  all([](FakeServerMood& m) { m.holds = false; });
  for (std::thread& reader : readers) reader.join();
  EXPECT_LE(cluster_.storage.gets(), 2U);
  mount.fs->close(file);
}

}  // namespace
}  // namespace dfs
