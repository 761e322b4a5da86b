// Several directories as one server, and whose they are.
#include "server/storage/store_set.h"

#include <algorithm>
#include <fstream>

#include "tests/unit/server/storage/store_fixture.h"

namespace dfs::storage {
namespace {

class StoreSetTest : public testing::Test {
 protected:
  Result<std::unique_ptr<StoreSet>> open(const std::vector<std::string>& names,
                                         bool replace_missing = false) {
    StoreSetOptions options;
    options.replace_missing = replace_missing;
    for (const std::string& name : names) options.directories.push_back(root_.path() / name);
    options.store.segment_bytes = 16 * MiB;
    options.store.reserved_bytes = 1;
    return StoreSet::open(disk_, clock_, options, open_real_index);
  }

  TemporaryDirectory root_;
  FakeClock clock_;
  PosixDisk disk_;
};

TEST_F(StoreSetTest, KeepsItsIdentityOverRestarts) {
  StoreIdentity first;
  {
    const auto set = open({"a"});
    ASSERT_TRUE(set);
    EXPECT_FALSE((*set)->identity().is_registered());
    ASSERT_TRUE((*set)->join("cluster-1", ServerId{7}));
    first = (*set)->identity();
  }
  const auto again = open({"a"});
  ASSERT_TRUE(again);
  EXPECT_EQ((*again)->identity(), first);
  EXPECT_EQ(first.server, ServerId{7});
  EXPECT_TRUE((*again)->join("cluster-1", ServerId{7})) << "nothing new";
  EXPECT_EQ((*again)->join("cluster-2", ServerId{7}).error().code, Errc::wrong_cluster);
  EXPECT_EQ((*again)->join("cluster-1", ServerId{8}).error().code, Errc::wrong_cluster);
}

TEST_F(StoreSetTest, RefusesADirectoryThatIsInUse) {
  const auto first = open({"a", "b"});
  ASSERT_TRUE(first);
  const auto second = open({"b"});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::busy);
  EXPECT_NE(second.error().text.find("/b"), std::string::npos) << second.error().text;
}

TEST_F(StoreSetTest, RefusesADirectoryWithOtherFilesAndTouchesNothing) {
  const auto foreign = root_.path() / "b";
  std::filesystem::create_directory(foreign);
  std::ofstream(foreign / "dfs-meta") << "somebody else's";
  const auto refused = open({"a", "b"});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::invalid);
  EXPECT_NE(refused.error().text.find(foreign.string()), std::string::npos) << refused.error().text;
  EXPECT_EQ(*disk_.list(foreign), std::vector<std::string>{"dfs-meta"});
  EXPECT_FALSE(std::filesystem::exists(root_.path() / "a")) << "nor the directory before it";
}

TEST_F(StoreSetTest, RefusesItsOwnDirectoryWithoutTheIdentity) {
  ASSERT_TRUE(open({"a"}));
  std::filesystem::remove(root_.path() / "a" / "identity");
  EXPECT_EQ(open({"a"}).error().code, Errc::invalid);
}

TEST_F(StoreSetTest, TouchesNothingBesideAForeignFileNamedAsTheIdentity) {
  std::filesystem::create_directory(root_.path() / "a");
  std::ofstream(root_.path() / "a" / "identity") << "a passport";
  EXPECT_EQ(open({"a"}).error().code, Errc::corrupt);
  EXPECT_EQ(*disk_.list(root_.path() / "a"), std::vector<std::string>{"identity"});
}

TEST_F(StoreSetTest, TakesAFreshFileSystem) {
  std::filesystem::create_directories(root_.path() / "a" / "lost+found");
  EXPECT_TRUE(open({"a"}));
}

TEST_F(StoreSetTest, GoesOnAfterAFirstStartThatWasInterrupted) {
  std::filesystem::create_directory(root_.path() / "a");
  std::ofstream(root_.path() / "a" / "LOCK") << "4711\n";
  std::ofstream(root_.path() / "a" / "identity.new") << "format = 1\niden";
  ASSERT_TRUE(open({"a"}));
  EXPECT_TRUE(open({"a"})) << "and is its own from then on";
}

TEST_F(StoreSetTest, RefusesDirectoriesOfDifferentServers) {
  ASSERT_TRUE(open({"a"}));
  ASSERT_TRUE(open({"b"}));
  const auto mixed = open({"a", "b"});
  ASSERT_FALSE(mixed);
  EXPECT_EQ(mixed.error().code, Errc::wrong_cluster);
  EXPECT_NE(mixed.error().text.find("/a"), std::string::npos);
  EXPECT_NE(mixed.error().text.find("/b"), std::string::npos);
}

TEST_F(StoreSetTest, TakesANewDirectoryIntoTheServer) {
  ASSERT_TRUE((*open({"a"}))->join("cluster-1", ServerId{7}));
  ASSERT_TRUE(open({"a", "b"}));
  const auto alone = open({"b"});
  ASSERT_TRUE(alone);
  EXPECT_EQ((*alone)->identity().server, ServerId{7});
}

TEST_F(StoreSetTest, TellsADamagedIdentityAndALaterFormat) {
  ASSERT_TRUE(open({"a"}));
  const auto path = root_.path() / "a" / "identity";
  std::ofstream(path) << "format = 1\nidentity = abc\n";
  EXPECT_EQ(open({"a"}).error().code, Errc::corrupt);
  std::ofstream(path) << "format = 2\nidentity = abc\n";
  EXPECT_EQ(open({"a"}).error().code, Errc::unsupported);
  EXPECT_NE(open({"a"}).error().text.find(path.string()), std::string::npos);
}

TEST_F(StoreSetTest, LeavesAnEmptyPlaceAloneWhileAStoreIsMissing) {
  ASSERT_TRUE(open({"a", "b"}));
  std::filesystem::remove_all(root_.path() / "b");
  {
    const auto set = open({"a", "b"});
    ASSERT_TRUE(set) << set.error().to_string();
    EXPECT_EQ((*set)->stores().size(), 1u);
    ASSERT_EQ((*set)->problems().size(), 1u);
    EXPECT_NE((*set)->problems()[0].find("/b: it is empty"), std::string::npos);
  }
  EXPECT_EQ((*open({"a", "b"}))->problems().size(), 1u) << "not only once";
  EXPECT_FALSE(std::filesystem::exists(root_.path() / "b" / "identity"));
  EXPECT_EQ((*open({"a", "b"}, true))->stores().size(), 2u);
  const auto set = open({"a", "b"});
  EXPECT_EQ((*set)->stores().size(), 2u);
  EXPECT_TRUE((*set)->problems().empty());
}

TEST_F(StoreSetTest, SaysThatAStoreIsMissingWhoseDirectoryIsNotNamed) {
  ASSERT_TRUE(open({"a", "b"}));
  const auto set = open({"a"});
  ASSERT_TRUE(set);
  EXPECT_EQ((*set)->problems().size(), 1u);
}

TEST_F(StoreSetTest, LeavesOutADirectoryThatDoesNotSayWhoseItIs) {
  ASSERT_TRUE(open({"a", "b"}));
  std::ofstream(root_.path() / "b" / "identity") << "format = 1\nidentity = abc\n";
  const auto set = open({"a", "b"});
  ASSERT_TRUE(set) << set.error().to_string();
  EXPECT_EQ((*set)->stores().size(), 1u);
  ASSERT_EQ((*set)->problems().size(), 1u);
  EXPECT_NE((*set)->problems()[0].find("/b"), std::string::npos);
}

TEST_F(StoreSetTest, SpreadsChunksAndFindsThemAgain) {
  std::vector<TestChunk> chunks;
  for (std::uint64_t serial = 1; serial <= 60; ++serial) chunks.push_back(make_chunk(serial, 3000));
  for (int round = 0; round < 2; ++round) {
    const auto set = open({"a", "b", "c"});
    ASSERT_TRUE(set);
    for (const TestChunk& chunk : chunks) {
      if (round == 0) {
        ASSERT_TRUE(put(**(*set)->store_to_put(chunk.meta), chunk));
      }
      ChunkStore* const store = *(*set)->store_of(chunk.meta.chunk);
      ASSERT_NE(store, nullptr);
      EXPECT_EQ(look(*store, chunk), "right");
      EXPECT_EQ(*(*set)->store_to_put(chunk.meta), store) << "a repeat goes where it is";
    }
    for (const auto& store : (*set)->stores()) EXPECT_GT(store->space()->chunks, 5u);
    EXPECT_EQ((*set)->space().chunks, 60u);
    EXPECT_EQ(*(*set)->store_of(ChunkId(GroupId{9}, 1)), nullptr);

    Result<void> synced = fail(Errc::internal);
    std::vector<ChunkId> ids;
    for (const TestChunk& chunk : chunks) ids.push_back(chunk.meta.chunk);
    std::mutex mutex;
    std::condition_variable changed;
    bool done = false;
    (*set)->sync(ids, [&](Result<void> result) {
      const std::lock_guard lock(mutex);
      synced = std::move(result);
      done = true;
      changed.notify_all();
    });
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return done; });
    EXPECT_TRUE(synced);
  }
}

// With two stores.
Result<std::unique_ptr<StoreSet>> open_on(FakeDisk& disk, const FakeClock& clock) {
  StoreSetOptions options;
  options.directories = {"/a", "/b"};
  options.store.segment_bytes = 16 * MiB;
  options.store.reserved_bytes = 1;
  options.lock = false;
  return StoreSet::open(disk, clock, options, [](const auto&, IndexStart) {
    return Result<std::unique_ptr<KvStore>>(std::make_unique<MemoryKvStore>());
  });
}

TEST(StoreSetOnFakeDisk, LosesOneDiskAndGoesOnWithTheOthers) {
  FakeDisk disk;
  const FakeClock clock;
  const auto set = open_on(disk, clock);
  ASSERT_TRUE(set);
  disk.fail_next(FakeDisk::Operation::write, Errc::io);
  int failed = 0;
  for (std::uint64_t serial = 1; serial <= 20; ++serial) {
    const TestChunk chunk = make_chunk(serial, 3000);
    if (!put(**(*set)->store_to_put(chunk.meta), chunk)) ++failed;
  }
  EXPECT_EQ(failed, 1);
  EXPECT_EQ((*set)->problems().size(), 1u);
  EXPECT_EQ((*set)->space().chunks, 19u);
}

TEST(StoreSetOnFakeDisk, ReadsFromAFailedDiskWhatIsToBeCopiedToTheOthers) {
  FakeDisk disk;
  const FakeClock clock;
  const auto opened = open_on(disk, clock);
  ASSERT_TRUE(opened);
  StoreSet& set = **opened;
  std::vector<TestChunk> chunks;
  for (std::uint64_t serial = 1; serial <= 20; ++serial) {
    chunks.push_back(make_chunk(serial, 3000));
    ASSERT_TRUE(put(**set.store_to_put(chunks.back().meta), chunks.back()));
  }
  disk.fail_next(FakeDisk::Operation::write, Errc::io);
  const TestChunk last = make_chunk(21, 3000);
  ASSERT_FALSE(put(**set.store_to_put(last.meta), last));

  const std::vector<ChunkId> listed = *set.list(ChunkId{}, 100);
  EXPECT_GT(listed.size(), 2u);
  EXPECT_LT(listed.size(), 18u) << "what the failed disk has is to be found missing";
  EXPECT_EQ(set.space().chunks, listed.size());
  for (const TestChunk& chunk : chunks) {
    const bool is_listed = std::ranges::find(listed, chunk.meta.chunk) != listed.end();
    EXPECT_EQ(*set.usable_store_of(chunk.meta.chunk) != nullptr, is_listed);
    EXPECT_EQ(look(**set.store_of(chunk.meta.chunk), chunk), "right");
    ChunkStore* const store = *set.store_to_put(chunk.meta);
    EXPECT_TRUE(store->is_usable());
    EXPECT_TRUE(put(*store, chunk));
    EXPECT_EQ(*set.store_of(chunk.meta.chunk), store);
  }
  EXPECT_EQ(set.list(ChunkId{}, 100)->size(), 20u);
}

}  // namespace
}  // namespace dfs::storage
