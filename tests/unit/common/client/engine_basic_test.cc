// What every program does: create, write, read, truncate, rename, list.
#include "tests/unit/common/client/engine_fixture.h"

namespace dfs {
namespace {

class EngineTest : public ::testing::Test {
 protected:
  ~EngineTest() override { EXPECT_THAT_NO_VIOLATIONS(); }
  void EXPECT_THAT_NO_VIOLATIONS() {
    for (const std::string& violation : cluster_.meta.violations()) ADD_FAILURE() << violation;
  }

  FakeClock clock_;
  FakeCluster cluster_{clock_};
  FakeMount mount_{cluster_};
};

TEST_F(EngineTest, ReadsWhatWasWrittenBeforeAnyServerHasIt) {
  const OpenFilePtr file = mount_.create("a");
  ASSERT_TRUE(mount_.write(*file, 0, "hello"));
  ASSERT_TRUE(mount_.write(*file, 10, "world"));
  EXPECT_EQ(mount_.read(*file, 0, 100), std::string("hello\0\0\0\0\0world", 15));
  EXPECT_EQ(mount_.size(mount_.inode_of("a")), 15U);
  EXPECT_EQ(cluster_.storage.puts(), 0U);
  mount_.fs->close(file);
}

TEST_F(EngineTest, WhoMayNotWaitGetsWhatIsKnownAndIsToldWhatIsNot) {
  CallContext at_once;
  at_once.may_wait = false;
  const OpenFilePtr file = mount_.create("a");
  const InodeId inode = mount_.inode_of("a");
  EXPECT_TRUE(mount_.fs->get_attributes(inode, at_once));
  EXPECT_TRUE(mount_.fs->flush(*file, at_once));

  ASSERT_TRUE(mount_.write(*file, 0, "hello"));
  EXPECT_EQ(mount_.fs->flush(*file, at_once).error().code, Errc::would_wait);
  EXPECT_EQ(cluster_.storage.puts(), 0U);
  clock_.advance(small_config().attribute_timeout * 2);
  EXPECT_EQ(mount_.fs->get_attributes(kRootInode, at_once).error().code, Errc::would_wait);

  ASSERT_TRUE(mount_.fs->flush(*file, {}));
  EXPECT_TRUE(mount_.fs->flush(*file, at_once));
  mount_.fs->close(file);
}

TEST_F(EngineTest, StoresASmallFileWithOnePutAndOneCommit) {
  const OpenFilePtr file = mount_.create("a");
  ASSERT_TRUE(mount_.write(*file, 0, pattern(5000)));
  ASSERT_TRUE(mount_.fs->flush(*file, {}));
  EXPECT_EQ(cluster_.storage.puts(), 1U);
  EXPECT_EQ(cluster_.meta.commits(), 1U);
  EXPECT_EQ(cluster_.meta.extents(mount_.inode_of("a")).size(), 1U);
  // A second flush has nothing to do.
  ASSERT_TRUE(mount_.fs->flush(*file, {}));
  EXPECT_EQ(cluster_.meta.commits(), 1U);
  EXPECT_EQ(mount_.read(*file, 0, 6000), pattern(5000));
  mount_.fs->close(file);
}

TEST_F(EngineTest, CutsALargeFileIntoWholeChunks) {
  const OpenFilePtr file = mount_.create("a");
  const std::string text = pattern(3 * 256 * KiB + 1000);
  for (std::size_t at = 0; at < text.size(); at += 100000) {
    ASSERT_TRUE(mount_.write(*file, at, text.substr(at, 100000)));
  }
  ASSERT_TRUE(mount_.fs->flush(*file, {}));
  const auto extents = cluster_.meta.extents(mount_.inode_of("a"));
  ASSERT_EQ(extents.size(), 4U);
  EXPECT_EQ(extents[1].file_offset, 256 * KiB);
  EXPECT_EQ(extents[1].length, 256 * KiB);
  EXPECT_EQ(mount_.read(*file, 0, text.size() + 1), text);
  mount_.fs->close(file);
}

TEST_F(EngineTest, PacksScatteredWritesIntoFewChunks) {
  const OpenFilePtr file = mount_.create("a");
  for (std::uint64_t i = 0; i < 128; ++i) {
    ASSERT_TRUE(mount_.write(*file, (i * 37 % 128) * 64 * KiB, pattern(4096, 1 + i)));
  }
  ASSERT_TRUE(mount_.fs->flush(*file, {}));
  EXPECT_LE(cluster_.storage.puts(), 3U);
  EXPECT_EQ(cluster_.meta.extents(mount_.inode_of("a")).size(), 128U);
  for (std::uint64_t i = 0; i < 128; ++i) {
    EXPECT_EQ(mount_.read(*file, (i * 37 % 128) * 64 * KiB, 4096), pattern(4096, 1 + i)) << i;
  }
  mount_.fs->close(file);
}

TEST_F(EngineTest, CutsOffBufferedAndCommittedBytesAndShowsZerosAfterGrowing) {
  const OpenFilePtr file = mount_.create("a");
  ASSERT_TRUE(mount_.write(*file, 0, pattern(8000)));
  ASSERT_TRUE(mount_.fs->flush(*file, {}));
  ASSERT_TRUE(mount_.write(*file, 6000, pattern(8000)));
  SetAttrArgs cut;
  cut.inode = mount_.inode_of("a");
  cut.size = 7000;
  ASSERT_EQ(mount_.fs->set_attributes(cut, {})->size, 7000U);
  cut.size = 9000;
  ASSERT_EQ(mount_.fs->set_attributes(cut, {})->size, 9000U);
  const std::string expected =
      pattern(8000).substr(0, 6000) + pattern(8000).substr(0, 1000) + std::string(2000, '\0');
  EXPECT_EQ(mount_.read(*file, 0, 10000), expected);
  ASSERT_TRUE(mount_.fs->flush(*file, {}));
  EXPECT_EQ(mount_.read(*file, 0, 10000), expected);
  EXPECT_EQ(cluster_.meta.attributes(cut.inode).size, 9000U);
  mount_.fs->close(file);
}

TEST_F(EngineTest, LetsTimesThatWereSetWinOverTheCommitOfEarlierWrites) {
  const OpenFilePtr file = mount_.create("a");
  ASSERT_TRUE(mount_.write(*file, 0, "text"));
  SetAttrArgs times;
  times.inode = mount_.inode_of("a");
  times.mtime = 12345;
  ASSERT_TRUE(mount_.fs->set_attributes(times, {}));
  EXPECT_EQ(mount_.fs->get_attributes(times.inode, {})->mtime, 12345);
  ASSERT_TRUE(mount_.fs->flush(*file, {}));
  EXPECT_EQ(cluster_.meta.attributes(times.inode).mtime, 12345);
  // A later write has a later time again.
  ASSERT_TRUE(mount_.write(*file, 0, "more"));
  ASSERT_TRUE(mount_.fs->flush(*file, {}));
  EXPECT_EQ(cluster_.meta.attributes(times.inode).mtime, clock_.wall());
  mount_.fs->close(file);
}

TEST_F(EngineTest, ClearsSetIdBitsWhenSomebodyElseWrites) {
  const OpenFilePtr file = mount_.create("a");
  SetAttrArgs mode;
  mode.inode = mount_.inode_of("a");
  mode.mode = 06755;
  ASSERT_TRUE(mount_.fs->set_attributes(mode, {}));
  ASSERT_TRUE(mount_.write(*file, 0, "root may"));
  EXPECT_EQ(mount_.fs->get_attributes(mode.inode, {})->mode, 06755U);
  const CallContext user{{1000, 1000}, nullptr};
  ASSERT_TRUE(mount_.fs->write(*file, 0, as_bytes("user"), user));
  EXPECT_EQ(mount_.fs->get_attributes(mode.inode, {})->mode, 0755U);
  ASSERT_TRUE(mount_.fs->flush(*file, {}));
  EXPECT_EQ(cluster_.meta.attributes(mode.inode).mode, 0755U);
  mount_.fs->close(file);
}

TEST_F(EngineTest, TruncatesOnOpenAndForgetsWhatWasBuffered) {
  const OpenFilePtr file = mount_.create("a");
  ASSERT_TRUE(mount_.write(*file, 0, "old"));
  const Opened again = mount_.open("a", true, true);
  EXPECT_EQ(again.attributes.size, 0U);
  EXPECT_EQ(mount_.read(*file, 0, 10), "");
  ASSERT_TRUE(mount_.write(*again.file, 2, "new"));
  EXPECT_EQ(mount_.read(*file, 0, 10), std::string("\0\0new", 5));
  mount_.fs->close(file);
  mount_.fs->close(again.file);
}

TEST_F(EngineTest, GoesOnWithAnOpenFileThatLostItsName) {
  const OpenFilePtr file = mount_.create("a");
  const InodeId inode = mount_.inode_of("a");
  ASSERT_TRUE(mount_.write(*file, 0, "before"));
  ASSERT_TRUE(mount_.fs->unlink(kRootInode, "a", {}));
  ASSERT_TRUE(mount_.write(*file, 6, " after"));
  EXPECT_EQ(mount_.read(*file, 0, 100), "before after");
  ASSERT_TRUE(mount_.fs->flush(*file, {}));
  ASSERT_TRUE(mount_.fs->fsync(*file, {}));
  EXPECT_EQ(mount_.read(*file, 0, 100), "before after");
  mount_.fs->close(file);
  EXPECT_FALSE(cluster_.meta.exists(inode));
}

TEST_F(EngineTest, NeverUploadsATemporaryFileThatIsRemovedSoon) {
  const OpenFilePtr file = mount_.create("a");
  ASSERT_TRUE(mount_.write(*file, 0, pattern(10000)));
  ASSERT_TRUE(mount_.fs->unlink(kRootInode, "a", {}));
  ASSERT_TRUE(mount_.fs->flush(*file, {}));
  mount_.fs->close(file);
  EXPECT_EQ(cluster_.storage.puts(), 0U);
}

TEST_F(EngineTest, ReportsAFileThatIsGoneOnceAndDropsItsBytes) {
  const OpenFilePtr file = mount_.create("a");
  ASSERT_TRUE(mount_.write(*file, 0, "text"));
  cluster_.meta.destroy(mount_.inode_of("a"));
  const auto first = mount_.fs->fsync(*file, {});
  ASSERT_FALSE(first);
  EXPECT_EQ(first.error().code, Errc::stale);
  ASSERT_FALSE(mount_.write(*file, 0, "more"));
}

TEST_F(EngineTest, ReadsAFileWhoseExtentsComeInManyPages) {
  const OpenFilePtr file = mount_.create("a");
  std::string expected(64 * 8192, '\0');
  for (std::size_t i = 0; i < 64; ++i) {
    const std::string text = pattern(4096, static_cast<unsigned>(i + 1));
    ASSERT_TRUE(mount_.write(*file, i * 8192, text));
    expected.replace(i * 8192, 4096, text);
  }
  expected.resize(63 * 8192 + 4096);
  ASSERT_TRUE(mount_.fs->flush(*file, {}));
  mount_.fs->close(file);
  cluster_.meta.set_extents_per_page(5);
  FakeMount other(cluster_);
  const Opened opened = other.open("a");
  EXPECT_EQ(other.read(*opened.file, 0, expected.size()), expected);
  EXPECT_EQ(other.fs->extents(opened.attributes.inode, {})->size(), 64U);
  other.fs->close(opened.file);
}

TEST_F(EngineTest, AnswersAttributesFromTheCacheForAWhile) {
  const OpenFilePtr file = mount_.create("a");
  const InodeId inode = mount_.inode_of("a");
  static_cast<void>(mount_.size(inode));
  EXPECT_EQ(mount_.meta.calls<GetAttrArgs>(), 0U);
  clock_.advance(std::chrono::seconds{1});
  static_cast<void>(mount_.size(inode));
  EXPECT_EQ(mount_.meta.calls<GetAttrArgs>(), 1U);
  mount_.fs->close(file);
}

TEST_F(EngineTest, SendsWhatIsOlderThanTheFlushInterval) {
  const OpenFilePtr file = mount_.create("a");
  EXPECT_EQ(mount_.fs->at_risk().bytes, 0u);
  ASSERT_TRUE(mount_.write(*file, 0, "text"));
  EXPECT_GE(mount_.fs->at_risk().bytes, 4u);
  clock_.advance(std::chrono::milliseconds{1001});
  cluster_.storage.await([](const FakeStoragePool& pool) { return pool.puts() == 1; });
  cluster_.storage.await([&](const FakeStoragePool&) { return cluster_.meta.commits() == 1; });
  EXPECT_EQ(mount_.read(*file, 0, 10), "text");
  ASSERT_TRUE(mount_.fs->fsync(*file, {}));
  EXPECT_EQ(mount_.fs->at_risk().bytes, 0u);
  mount_.fs->close(file);
}

TEST_F(EngineTest, WritesMoreThanItsBufferHolds) {
  const OpenFilePtr file = mount_.create("a");
  const std::string text = pattern(12 * MiB);
  for (std::size_t at = 0; at < text.size(); at += 128 * KiB) {
    ASSERT_TRUE(mount_.write(*file, at, text.substr(at, 128 * KiB)));
  }
  ASSERT_TRUE(mount_.fs->fsync(*file, {}));
  for (std::size_t at = 0; at < text.size(); at += 1 * MiB) {
    ASSERT_EQ(mount_.read(*file, at, 1 * MiB), text.substr(at, 1 * MiB)) << at;
  }
  mount_.fs->close(file);
}

TEST_F(EngineTest, SendsOpenChunksWhenManyFilesFillTheBuffer) {
  std::vector<OpenFilePtr> files;
  for (int i = 0; i < 200; ++i) {
    files.push_back(mount_.create("f" + std::to_string(i)));
    ASSERT_TRUE(mount_.write(*files.back(), 0, pattern(1000, static_cast<unsigned>(i + 1))));
  }
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(mount_.read(*files[static_cast<std::size_t>(i)], 0, 2000), pattern(1000, static_cast<unsigned>(i + 1)));
  }
  ASSERT_TRUE(mount_.fs->sync({}));
  for (const OpenFilePtr& file : files) mount_.fs->close(file);
}

TEST_F(EngineTest, PassesNamesThrough) {
  ASSERT_TRUE(mount_.fs->make_node(kRootInode, "d", FileType::directory, 0755, 0, {}));
  ASSERT_TRUE(mount_.fs->make_symlink(kRootInode, "s", "target", {}));
  EXPECT_EQ(*mount_.fs->read_symlink(mount_.inode_of("s"), {}), "target");
  const OpenFilePtr file = mount_.create("a");
  ASSERT_TRUE(mount_.write(*file, 0, "12345"));
  ASSERT_TRUE(mount_.fs->link(mount_.inode_of("a"), kRootInode, "b", {}));
  RenameArgs rename;
  rename.parent = kRootInode;
  rename.name = "b";
  rename.new_parent = mount_.inode_of("d");
  rename.new_name = "c";
  ASSERT_TRUE(mount_.fs->rename(rename, {}));
  const auto listed = mount_.fs->read_directory(kRootInode, 0, 100, {});
  ASSERT_TRUE(listed);
  ASSERT_EQ(listed->entries.size(), 3U);
  EXPECT_EQ(listed->entries[0].attributes.size, 5U) << "listings show what is buffered";
  ASSERT_TRUE(mount_.fs->unlink(rename.new_parent, "c", {}));
  ASSERT_TRUE(mount_.fs->remove_directory(kRootInode, "d", {}));
  EXPECT_EQ(mount_.fs->lookup(kRootInode, "d", {}).error().code, Errc::not_found);
  ASSERT_TRUE(mount_.fs->set_xattr({mount_.inode_of("a"), "user.x", "1", false, false}, {}));
  EXPECT_EQ(*mount_.fs->get_xattr(mount_.inode_of("a"), "user.x", {}), "1");
  EXPECT_EQ(mount_.fs->list_xattr(mount_.inode_of("a"), {})->size(), 1U);
  ASSERT_TRUE(mount_.fs->remove_xattr(mount_.inode_of("a"), "user.x", {}));
  EXPECT_LT(mount_.fs->stat_fs({})->bytes_available, 512 * GiB);
  mount_.fs->close(file);
}

}  // namespace
}  // namespace dfs
