// Which calls of a mount are accesses, and what becomes of them.
#include "tests/unit/common/client/engine_fixture.h"
#include "tests/support/fake_clock.h"

namespace dfs {
namespace {

using namespace std::chrono_literals;

ClientConfig relatime() {
  ClientConfig config = small_config();
  config.access_times = true;
  return config;
}

class EngineAccessTimesTest : public ::testing::Test {
 protected:
  EngineAccessTimesTest() {
    const OpenFilePtr file = mount_.create("a");
    EXPECT_TRUE(mount_.write(*file, 0, "text"));
    EXPECT_TRUE(mount_.fs->flush(*file, {}));
    mount_.fs->close(file);
    clock_.advance(10s);
  }
  InodeId a() { return mount_.inode_of("a"); }
  WallNanos shown(InodeId inode) { return mount_.fs->get_attributes(inode, {})->atime; }
  WallNanos kept(InodeId inode) const { return cluster_.meta.attributes(inode).atime; }
  std::size_t touches() const { return mount_.meta.calls<TouchArgs>(); }
  void read(const std::string& name, const CallContext& context = {}) {
    const Opened opened = mount_.open(name, true);  // for writing: opening is no access
    std::byte byte{};
    EXPECT_TRUE(mount_.fs->read(*opened.file, 0, {&byte, 1}, context));
    mount_.fs->close(opened.file);
  }
  void set_atime(FakeMount& mount, InodeId inode, WallNanos atime) {
    SetAttrArgs args;
    args.inode = inode;
    args.atime = atime;
    EXPECT_TRUE(mount.fs->set_attributes(args, {}));
  }
  // Until the background has looked.
  template <typename Condition>
  void await(Condition condition) {
    while (!condition()) std::this_thread::yield();
  }

  FakeClock clock_;
  FakeCluster cluster_{clock_};
  FakeMount mount_{cluster_, relatime()};
};

TEST_F(EngineAccessTimesTest, ShowAReadAtOnceAndTheServerHearsOfItLater) {
  const WallNanos before = kept(a());
  read("a");
  EXPECT_EQ(shown(a()), clock_.wall());
  EXPECT_EQ(mount_.open("a", true).attributes.atime, clock_.wall());
  EXPECT_EQ(mount_.fs->read_directory(kRootInode, 0, 10, {})->entries[0].attributes.atime,
            clock_.wall());
  EXPECT_EQ(kept(a()), before);
  const WallNanos read_at = clock_.wall();
  clock_.advance(1s);
  await([&] { return kept(a()) == read_at; });
  EXPECT_EQ(touches(), 1U);
}

TEST_F(EngineAccessTimesTest, SendNothingForWhatIsReadAgain) {
  read("a");
  const WallNanos read_at = clock_.wall();
  clock_.advance(1s);
  await([&] { return kept(a()) == read_at; });
  for (int time = 0; time < 3; ++time) {
    clock_.advance(700ms);
    read("a");
    EXPECT_EQ(shown(a()), read_at);
  }
  ASSERT_TRUE(mount_.fs->sync({}));
  EXPECT_EQ(touches(), 1U);
}

TEST_F(EngineAccessTimesTest, StayInTheCachesWhenTheServerHasThem) {
  ClientConfig config = relatime();
  config.attribute_timeout = std::chrono::hours{1};
  FakeMount patient(cluster_, config);
  static_cast<void>(patient.fs->get_attributes(kRootInode, {}));
  ASSERT_TRUE(patient.fs->make_symlink(kRootInode, "s", "a", {}));
  const InodeId symlink = patient.inode_of("s");
  const Opened opened = patient.open("a", true);
  const InodeId file = opened.attributes.inode;
  patient.read(*opened.file, 0, 4);
  ASSERT_TRUE(patient.fs->read_symlink(symlink, {}));
  const WallNanos read_at = patient.fs->get_attributes(symlink, {})->atime;
  const WallNanos file_read_at = patient.fs->get_attributes(file, {})->atime;
  // A second message follows only when the first one is settled.
  clock_.advance(1s);
  await([&] { return kept(symlink) == read_at; });
  ASSERT_TRUE(patient.fs->read_directory(kRootInode, 0, 10, {}));
  await([&] {
    clock_.advance(1s);
    return patient.meta.calls<TouchArgs>() == 2;
  });
  EXPECT_EQ(patient.fs->get_attributes(symlink, {})->atime, read_at);
  EXPECT_EQ(patient.fs->get_attributes(file, {})->atime, file_read_at);
  EXPECT_EQ(kept(file), file_read_at);
  patient.fs->close(opened.file);
}

TEST_F(EngineAccessTimesTest, CountListingsAndSymlinksAndCopiesFromAFile) {
  static_cast<void>(mount_.fs->get_attributes(kRootInode, {}));
  ASSERT_TRUE(mount_.fs->read_directory(kRootInode, 0, 10, {}));
  EXPECT_EQ(shown(kRootInode), clock_.wall());

  const InodeId symlink = mount_.fs->make_symlink(kRootInode, "s", "a", {})->inode;
  clock_.advance(1s);
  ASSERT_TRUE(mount_.fs->read_symlink(symlink, {}));
  EXPECT_EQ(shown(symlink), clock_.wall());

  const Opened from = mount_.open("a", true);
  const OpenFilePtr to = mount_.create("b");
  ASSERT_TRUE(mount_.fs->copy_range(*from.file, *to, {0, 0, 4}, {}));
  EXPECT_EQ(shown(a()), clock_.wall());
  mount_.fs->close(from.file);
  mount_.fs->close(to);
}

TEST_F(EngineAccessTimesTest, CountAnOpenForReadingWhosePagesTheKernelKeeps) {
  mount_.fs->close(mount_.open("a").file);
  const Opened opened = mount_.open("a");
  ASSERT_TRUE(opened.keep_cache);
  EXPECT_FALSE(opened.access_time_moved) << "the first open was one";
  EXPECT_EQ(shown(a()), clock_.wall());

  const OpenFilePtr untouched = mount_.create("b");
  EXPECT_EQ(mount_.open("b", true).access_time_moved, false) << "for writing too";
  const Opened read_only = mount_.open("b");
  EXPECT_TRUE(read_only.keep_cache && read_only.access_time_moved);
  EXPECT_EQ(read_only.attributes.atime, shown(mount_.inode_of("b")));
  EXPECT_FALSE(mount_.open("b").access_time_moved);
}

TEST_F(EngineAccessTimesTest, StayWhereTheCallerOrTheMountSaysSo) {
  const WallNanos before = kept(a());
  CallContext keeps;
  keeps.keeps_access_time = true;
  read("a", keeps);
  EXPECT_EQ(shown(a()), before);
  ASSERT_TRUE(mount_.fs->read_directory(kRootInode, 0, 10, keeps));
  EXPECT_NE(shown(kRootInode), clock_.wall());

  FakeMount noatime(cluster_, small_config());
  const Opened opened = noatime.open("a", true);
  noatime.read(*opened.file, 0, 4);
  ASSERT_TRUE(noatime.fs->read_directory(kRootInode, 0, 10, {}));
  EXPECT_EQ(noatime.fs->get_attributes(a(), {})->atime, before);
  ASSERT_TRUE(noatime.fs->sync({}));
  EXPECT_EQ(noatime.meta.calls<TouchArgs>(), 0U);
  noatime.fs->close(opened.file);
}

TEST_F(EngineAccessTimesTest, ThatAreSetHereStandThoughSomebodyHadReadBefore) {
  const WallNanos before = kept(a());
  read("a");
  set_atime(mount_, a(), before);  // as who puts back what reading has moved
  EXPECT_EQ(shown(a()), before);
  ASSERT_TRUE(mount_.fs->sync({}));
  EXPECT_EQ(kept(a()), before);
}

TEST_F(EngineAccessTimesTest, ThatAreSetElsewhereStandThoughSomebodyHadReadBefore) {
  FakeMount other(cluster_, relatime());
  read("a");
  set_atime(other, a(), 12345);
  clock_.advance(1s);
  await([&] { return touches() == 1; });
  EXPECT_EQ(kept(a()), 12345);
  EXPECT_EQ(shown(a()), 12345);
}

TEST_F(EngineAccessTimesTest, AreSentBySyncAheadOfIt) {
  read("a");
  ASSERT_TRUE(mount_.fs->sync({}));
  EXPECT_EQ(kept(a()), clock_.wall());
}

TEST_F(EngineAccessTimesTest, MakeNobodyWaitForAServerThatIsAway) {
  const Opened opened = mount_.open("a", true);
  mount_.read(*opened.file, 0, 4);
  mount_.meta.set_away(true);
  clock_.advance(1s);
  await([&] { return touches() == 1; });
  mount_.read(*opened.file, 0, 4);
  EXPECT_EQ(touches(), 1U);
  mount_.meta.set_away(false);
  mount_.fs->close(opened.file);
}

}  // namespace
}  // namespace dfs
