// What fsync means, and in which order it is done.
#include <algorithm>

#include "tests/unit/common/client/engine_fixture.h"

namespace dfs {
namespace {

class EngineFsyncTest : public ::testing::Test {
 protected:
  ~EngineFsyncTest() override {
    for (const std::string& violation : cluster_.meta.violations()) ADD_FAILURE() << violation;
  }
  bool stable_everywhere(InodeId inode) {
    for (const Extent& extent : cluster_.meta.extents(inode)) {
      for (std::uint32_t id = 1; id <= 3; ++id) {
        if (!cluster_.storage.synced(ServerId{id}, extent.chunk)) return false;
      }
    }
    return true;
  }
  std::size_t count(const std::string& prefix) const {
    const auto events = cluster_.log.events();
    return static_cast<std::size_t>(std::count_if(events.begin(), events.end(), [&](const auto& e) {
      return e.rfind(prefix, 0) == 0;
    }));
  }

  FakeClock clock_;
  FakeCluster cluster_{clock_};
  FakeMount mount_{cluster_};
};

TEST_F(EngineFsyncTest, CostsOneSyncedPutAndOneSyncedCommit) {
  const OpenFilePtr file = mount_.create("a");
  for (std::uint64_t i = 0; i < 5; ++i) {
    ASSERT_TRUE(mount_.write(*file, i * 4096, pattern(4096)));
    ASSERT_TRUE(mount_.fs->fsync(*file, {}));
  }
  EXPECT_EQ(cluster_.storage.puts(), 5U);
  EXPECT_EQ(count("commit-sync"), 5U);
  EXPECT_EQ(count("sync "), 0U);
  EXPECT_EQ(count("meta-sync"), 0U);
  EXPECT_TRUE(stable_everywhere(mount_.inode_of("a")));
  mount_.fs->close(file);
}

TEST_F(EngineFsyncTest, PutsTheBytesOnStableMediaEverywhereBeforeTheSyncedCommit) {
  const OpenFilePtr file = mount_.create("a");
  ASSERT_TRUE(mount_.write(*file, 0, pattern(600000)));  // two full chunks go early, unsynced
  cluster_.storage.await([](const FakeStoragePool& pool) { return pool.puts() >= 2; });
  ASSERT_TRUE(mount_.fs->fsync(*file, {}));
  EXPECT_TRUE(stable_everywhere(mount_.inode_of("a")));
  const auto events = cluster_.log.events();
  const auto commit = std::find(events.begin(), events.end(), "commit-sync");
  ASSERT_TRUE(commit != events.end() || count("meta-sync") == 1);
  for (auto it = commit; it != events.end(); ++it) EXPECT_NE(it->rfind("sync ", 0), 0U);
  mount_.fs->close(file);
}

TEST_F(EngineFsyncTest, FailsForWhatEveryServerLostBeforeItWasStable) {
  const OpenFilePtr file = mount_.create("a");
  ASSERT_TRUE(mount_.write(*file, 0, pattern(3000)));
  ASSERT_TRUE(mount_.fs->flush(*file, {}));
  cluster_.storage.lose_power();
  const auto lost = mount_.fs->fsync(*file, {});
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code, Errc::io);
  // Nobody misses it once it was written again.
  ASSERT_TRUE(mount_.write(*file, 0, pattern(3000)));
  EXPECT_TRUE(mount_.fs->fsync(*file, {}));
  EXPECT_TRUE(stable_everywhere(mount_.inode_of("a")));
  mount_.fs->close(file);
}

TEST_F(EngineFsyncTest, SyncsWhatWasFlushedWithoutSyncBefore) {
  const OpenFilePtr file = mount_.create("a");
  ASSERT_TRUE(mount_.write(*file, 0, pattern(3000)));
  ASSERT_TRUE(mount_.fs->flush(*file, {}));
  EXPECT_FALSE(stable_everywhere(mount_.inode_of("a")));
  ASSERT_TRUE(mount_.fs->fsync(*file, {}));
  EXPECT_TRUE(stable_everywhere(mount_.inode_of("a")));
  EXPECT_EQ(count("meta-sync"), 1U);
  // Now there is nothing left to do, and nothing is done.
  const std::size_t before = cluster_.log.events().size();
  ASSERT_TRUE(mount_.fs->fsync(*file, {}));
  EXPECT_EQ(cluster_.log.events().size(), before);
  mount_.fs->close(file);
}

TEST_F(EngineFsyncTest, WritesBackWithoutWaitingForStableMedia) {
  const OpenFilePtr file = mount_.create("a");
  const InodeId inode = mount_.inode_of("a");
  ASSERT_TRUE(mount_.write(*file, 0, pattern(3000)));
  EXPECT_EQ(mount_.fs->unsent().bytes, 3000U);
  EXPECT_EQ(mount_.fs->unsent().files, std::vector<InodeId>{inode});
  ASSERT_TRUE(mount_.fs->write_back({}));
  EXPECT_EQ(mount_.fs->unsent().bytes, 0U);
  EXPECT_TRUE(mount_.fs->unsent().files.empty());
  EXPECT_EQ(cluster_.meta.commits(), 1U);
  EXPECT_EQ(count("meta-sync"), 0U);
  ASSERT_TRUE(mount_.fs->sync({}));
  EXPECT_EQ(count("meta-sync"), 1U);
  mount_.fs->close(file);
}

TEST_F(EngineFsyncTest, SyncsWhatAnotherMountHasWritten) {
  const OpenFilePtr file = mount_.create("a");
  ASSERT_TRUE(mount_.write(*file, 0, pattern(600000)));
  ASSERT_TRUE(mount_.fs->flush(*file, {}));
  mount_.fs->close(file);
  FakeMount other(cluster_);
  const Opened opened = other.open("a", true);
  ASSERT_TRUE(other.fs->fsync(*opened.file, {}));
  EXPECT_TRUE(stable_everywhere(other.inode_of("a")));
  other.fs->close(opened.file);
}

TEST_F(EngineFsyncTest, SurvivesTheLossOfPowerOnEveryServer) {
  const OpenFilePtr file = mount_.create("a");
  std::string expected;
  for (int i = 0; i < 20; ++i) {
    const std::string text = pattern(70000, static_cast<unsigned>(i + 1));
    ASSERT_TRUE(mount_.write(*file, expected.size(), text));
    expected += text;
    if (i % 3 != 0) continue;
    ASSERT_TRUE(mount_.fs->flush(*file, {}));
  }
  ASSERT_TRUE(mount_.fs->fsync(*file, {}));
  mount_.fs->close(file);
  cluster_.storage.lose_power();
  FakeMount other(cluster_);
  const Opened opened = other.open("a");
  EXPECT_TRUE(other.read(*opened.file, 0, expected.size()) == expected);
  other.fs->close(opened.file);
}

TEST_F(EngineFsyncTest, CountsAMemberThatCouldNotSyncAsMissing) {
  const OpenFilePtr file = mount_.create("a");
  ASSERT_TRUE(mount_.write(*file, 0, pattern(3000)));
  ASSERT_TRUE(mount_.fs->flush(*file, {}));
  cluster_.storage.change(ServerId{2}, [](FakeServerMood& m) { m.fail_syncs = 1; });
  ASSERT_TRUE(mount_.write(*file, 3000, "more"));
  ASSERT_TRUE(mount_.fs->fsync(*file, {}));
  const auto placements = cluster_.meta.placements();
  ASSERT_EQ(placements.size(), 1U);
  EXPECT_EQ(placements[0].missing_on, std::vector<ServerId>{ServerId{2}});
  mount_.fs->close(file);
}

// Whoever got the chunk does not sync any more, as with a disk that has failed.
TEST_F(EngineFsyncTest, IsContentWithACopyThatRepairHasMade) {
  for (const std::uint32_t id : {2U, 3U})
    cluster_.storage.change(ServerId{id}, [](FakeServerMood& m) { m.silent = true; });
  const OpenFilePtr file = mount_.create("a");
  ASSERT_TRUE(mount_.write(*file, 0, pattern(3000)));
  ASSERT_TRUE(mount_.fs->flush(*file, {}));
  cluster_.storage.change(ServerId{3}, [](FakeServerMood& m) { m.silent = false; });
  cluster_.storage.repair(ServerId{3});
  cluster_.storage.change(ServerId{1}, [](FakeServerMood& m) { m.fail_syncs = 1'000'000; });
  ASSERT_TRUE(mount_.fs->fsync(*file, {}));
  const ChunkPlacement placement = cluster_.meta.placements().back();
  EXPECT_EQ(placement.missing_on, (std::vector<ServerId>{ServerId{1}, ServerId{2}}));
  mount_.fs->close(file);
}

TEST_F(EngineFsyncTest, MakesNamesStable) {
  ASSERT_TRUE(mount_.fs->make_node(kRootInode, "d", FileType::directory, 0755, 0, {}));
  ASSERT_TRUE(mount_.fs->fsync_directory(kRootInode, {}));
  EXPECT_EQ(cluster_.meta.syncs(), 1U);
  // A new, empty file too.
  const OpenFilePtr file = mount_.create("a");
  ASSERT_TRUE(mount_.fs->fsync(*file, {}));
  EXPECT_EQ(cluster_.meta.syncs(), 2U);
  mount_.fs->close(file);
}

}  // namespace
}  // namespace dfs
