// fallocate and lseek: holes, sizes, times, room.
#include <linux/falloc.h>

#include "tests/unit/common/client/engine_fixture.h"

namespace dfs {
namespace {

class EngineRangesTest : public ::testing::Test {
 protected:
  ~EngineRangesTest() override {
    for (const std::string& violation : cluster_.meta.violations()) ADD_FAILURE() << violation;
  }

  Result<void> allocate(const OpenFilePtr& file, int mode, std::uint64_t offset,
                        std::uint64_t length, const CallContext& context = {}) {
    return mount_.fs->allocate(*file, mode, offset, length, context);
  }
  Attributes stat(const std::string& name) {
    return *mount_.fs->get_attributes(mount_.inode_of(name), {});
  }

  FakeClock clock_;
  FakeCluster cluster_{clock_};
  FakeMount mount_{cluster_};
};

TEST_F(EngineRangesTest, PunchesHolesAndKeepsTheSize) {
  const OpenFilePtr file = mount_.create("a");
  ASSERT_TRUE(mount_.write(*file, 0, std::string(10000, 'x')));
  ASSERT_TRUE(mount_.fs->allocate(*file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 20000, {}));
  EXPECT_EQ(mount_.read(*file, 0, 20000), std::string(4096, 'x') + std::string(5904, '\0'));
  ASSERT_TRUE(mount_.fs->flush(*file, {}));
  ASSERT_TRUE(mount_.fs->allocate(*file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 100, {}));
  EXPECT_EQ(mount_.read(*file, 0, 200), std::string(100, '\0') + std::string(100, 'x'));
  ASSERT_TRUE(mount_.fs->allocate(*file, 0, 0, 12000, {}));
  EXPECT_EQ(mount_.size(mount_.inode_of("a")), 12000U);
  ASSERT_TRUE(mount_.fs->allocate(*file, FALLOC_FL_ZERO_RANGE, 50, 13000, {}));
  EXPECT_EQ(mount_.read(*file, 0, 20000), std::string(13050, '\0'));
  mount_.fs->close(file);
}

TEST_F(EngineRangesTest, FindsDataAndHoles) {
  const OpenFilePtr file = mount_.create("a");
  ASSERT_TRUE(mount_.write(*file, 100000, std::string(1000, 'x')));
  ASSERT_TRUE(mount_.fs->flush(*file, {}));
  ASSERT_TRUE(mount_.write(*file, 101000, std::string(1000, 'y')));
  ASSERT_TRUE(mount_.write(*file, 200000, std::string(1000, 'z')));
  const auto seek = [&](std::uint64_t offset, bool data) {
    return *mount_.fs->seek(*file, offset, data, {});
  };
  EXPECT_EQ(seek(0, true), 100000U);
  EXPECT_EQ(seek(0, false), 0U);
  EXPECT_EQ(seek(100500, false), 102000U);
  EXPECT_EQ(seek(102000, true), 200000U);
  EXPECT_EQ(seek(200000, false), 201000U);
  EXPECT_EQ(seek(201000, true), std::nullopt);
  mount_.fs->close(file);
}

TEST_F(EngineRangesTest, RefusesOtherModesAndRangesThatCannotBe) {
  const OpenFilePtr file = mount_.create("a");
  for (const int mode : {FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_INSERT_RANGE, FALLOC_FL_UNSHARE_RANGE,
                         FALLOC_FL_PUNCH_HOLE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE}) {
    EXPECT_EQ(allocate(file, mode, 0, 4096).error().code, Errc::unsupported) << mode;
  }
  EXPECT_EQ(allocate(file, 0, 0, 0).error().code, Errc::invalid);
  EXPECT_EQ(allocate(file, 0, kFileSizeMax, 1).error().code, Errc::file_too_big);
  EXPECT_EQ(allocate(file, 0, 1, ~std::uint64_t{0}).error().code, Errc::file_too_big);
  EXPECT_EQ(stat("a").size, 0U);
  mount_.fs->close(file);
}

TEST_F(EngineRangesTest, KeepsTheSizeWhenAsked) {
  const OpenFilePtr file = mount_.create("a");
  ASSERT_TRUE(mount_.write(*file, 0, "12345"));
  ASSERT_TRUE(allocate(file, FALLOC_FL_KEEP_SIZE, 0, 10000));
  ASSERT_TRUE(allocate(file, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 3, 10000));
  EXPECT_EQ(stat("a").size, 5U);
  EXPECT_EQ(mount_.read(*file, 0, 10), std::string("123\0\0", 5));
  mount_.fs->close(file);
}

TEST_F(EngineRangesTest, ChangesTimesWheneverItSucceeds) {
  const OpenFilePtr file = mount_.create("a");
  ASSERT_TRUE(mount_.write(*file, 0, std::string(10000, 'x')));
  for (const int mode : {0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_ZERO_RANGE,
                         FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE}) {
    clock_.advance(std::chrono::milliseconds{5});
    ASSERT_TRUE(allocate(file, mode, 0, 5000));
    EXPECT_EQ(stat("a").mtime, clock_.wall()) << mode;
    EXPECT_EQ(stat("a").ctime, clock_.wall()) << mode;
  }
  // What was written before does not bring its own time back.
  ASSERT_TRUE(mount_.fs->flush(*file, {}));
  EXPECT_EQ(stat("a").mtime, clock_.wall());
  mount_.fs->close(file);
}

TEST_F(EngineRangesTest, TakesSetIdBitsFromWhatSomebodyElsePunches) {
  const OpenFilePtr file = mount_.create("a");
  SetAttrArgs mode;
  mode.inode = mount_.inode_of("a");
  mode.mode = 06755;
  ASSERT_TRUE(mount_.fs->set_attributes(mode, {}));
  ASSERT_TRUE(allocate(file, 0, 0, 100));
  EXPECT_EQ(stat("a").mode, 06755U);
  ASSERT_TRUE(allocate(file, 0, 0, 100, {{1000, 1000}, nullptr}));
  EXPECT_EQ(stat("a").mode, 0755U);
  mount_.fs->close(file);
}

TEST_F(EngineRangesTest, SaysSoWhenTheRangeWouldNotFit) {
  const OpenFilePtr file = mount_.create("a");
  // The cluster has 512 GiB left.
  EXPECT_EQ(allocate(file, 0, 0, 1 * TiB).error().code, Errc::no_space);
  EXPECT_EQ(allocate(file, FALLOC_FL_KEEP_SIZE, 0, 1 * TiB).error().code, Errc::no_space);
  EXPECT_EQ(stat("a").size, 0U);
  ASSERT_TRUE(allocate(file, 0, 1 * TiB, 256 * GiB));
  EXPECT_EQ(stat("a").size, 1 * TiB + 256 * GiB);
  ASSERT_TRUE(allocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 2 * TiB));
  mount_.fs->close(file);
}

TEST_F(EngineRangesTest, ReadsAndWritesUpToTheLargestOffset) {
  const OpenFilePtr file = mount_.create("a");
  const std::uint64_t near_the_end = kFileSizeMax - 300 * KiB;
  const std::string text = pattern(300 * KiB);
  ASSERT_TRUE(mount_.write(*file, near_the_end, text));
  EXPECT_EQ(mount_.write(*file, kFileSizeMax - 1, "ab").error().code, Errc::file_too_big);
  EXPECT_EQ(mount_.write(*file, kFileSizeMax, "a").error().code, Errc::file_too_big);
  EXPECT_EQ(stat("a").size, kFileSizeMax);
  EXPECT_EQ(mount_.read(*file, near_the_end, text.size() + 10), text);
  ASSERT_TRUE(mount_.fs->fsync(*file, {}));
  EXPECT_EQ(mount_.read(*file, near_the_end, text.size() + 10), text);
  EXPECT_EQ(*mount_.fs->seek(*file, 0, true, {}), near_the_end);
  EXPECT_EQ(*mount_.fs->seek(*file, near_the_end, false, {}), kFileSizeMax);
  EXPECT_EQ(*mount_.fs->seek(*file, ~std::uint64_t{0}, false, {}), std::nullopt);
  EXPECT_EQ(stat("a").allocated, text.size());
  SetAttrArgs cut;
  cut.inode = mount_.inode_of("a");
  cut.size = near_the_end + 5;
  ASSERT_TRUE(mount_.fs->set_attributes(cut, {}));
  EXPECT_EQ(mount_.read(*file, near_the_end, 10), text.substr(0, 5));
  mount_.fs->close(file);
}

TEST_F(EngineRangesTest, CountsBufferedBytesAsAllocated) {
  const OpenFilePtr file = mount_.create("a");
  ASSERT_TRUE(mount_.write(*file, 1 * MiB, std::string(10000, 'x')));
  EXPECT_EQ(stat("a").allocated, 10000U);
  ASSERT_TRUE(mount_.fs->flush(*file, {}));
  EXPECT_EQ(stat("a").allocated, 10000U);
  ASSERT_TRUE(mount_.write(*file, 1 * MiB, std::string(5000, 'y')));
  ASSERT_TRUE(mount_.fs->flush(*file, {}));
  EXPECT_EQ(stat("a").allocated, 10000U);
  ASSERT_TRUE(allocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1 * MiB, 4000));
  EXPECT_EQ(stat("a").allocated, 6000U);
  mount_.fs->close(file);
}

}  // namespace
}  // namespace dfs
