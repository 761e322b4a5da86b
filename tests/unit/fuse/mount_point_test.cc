// What can be mounted where, and that nothing is left.
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <future>

#include "fuse/mounts/mount_table.h"
#include "tests/unit/fuse/mounted.h"

namespace dfs::fuse {
namespace {

class Places : public Mounted {
 protected:
  // A mount whose server is gone.
  void leave_dead_mount(const char* type) {
    const UniqueFd device(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
    ASSERT_TRUE(device);
    const std::string data = "fd=" + std::to_string(device.get()) +
                             ",rootmode=40000,user_id=0,group_id=0";
    ASSERT_EQ(::mount("dead", directory().c_str(), type, 0, data.c_str()), 0);
  }
};

TEST_F(Places, ThatDoNotExistAreNamed) {
  const auto prepared = MountPoint::prepare(path("missing"));
  ASSERT_FALSE(prepared);
  EXPECT_EQ(prepared.error().code, Errc::not_found);
  EXPECT_NE(prepared.error().text.find("missing"), std::string::npos);
}

TEST_F(Places, ThatAreNoDirectoriesAreNamed) {
  std::ofstream(path("file")) << "text";
  const auto prepared = MountPoint::prepare(path("file"));
  ASSERT_FALSE(prepared);
  EXPECT_EQ(prepared.error().code, Errc::not_directory);
  EXPECT_NE(prepared.error().text.find("file is not a directory"), std::string::npos);
}

TEST_F(Places, AreFoundThroughSymbolicLinks) {
  std::filesystem::create_directory(path("real"));
  std::filesystem::create_symlink("real", path("link"));
  EXPECT_EQ(MountPoint::prepare(path("link/")).value(), path("real"));
}

TEST_F(Places, ThatHoldAMountOfOursAreBusy) {
  mount();
  const auto prepared = MountPoint::prepare(directory());
  ASSERT_FALSE(prepared);
  EXPECT_EQ(prepared.error().code, Errc::busy);
  EXPECT_NE(prepared.error().text.find("memory"), std::string::npos);
}

TEST_F(Places, ThatHoldADeadMountOfOursAreCleanedUp) {
  leave_dead_mount(kMountType);
  ASSERT_EQ(errno_of_stat(directory()), ENOTCONN);
  EXPECT_EQ(MountPoint::prepare(directory()).value(), directory());
  EXPECT_FALSE(mounted_at(directory()));
}

TEST_F(Places, ThatHoldAMountWhoseServerJustDiedAreCleanedUp) {
  SessionConfig config;
  config.attribute_timeout = std::chrono::hours(1);
  mount(config);
  status_of(directory());
  kill_session();
  ASSERT_EQ(errno_of_stat(directory()), 0) << "the kernel should still know the attributes";
  EXPECT_EQ(MountPoint::prepare(directory()).value(), directory());
  EXPECT_FALSE(mounted_at(directory()));
}

TEST_F(Places, ThatHoldAnotherDeadMountAreLeftAlone) {
  leave_dead_mount("fuse.other");
  const auto prepared = MountPoint::prepare(directory());
  ASSERT_FALSE(prepared);
  EXPECT_EQ(prepared.error().code, Errc::stale);
  EXPECT_NE(prepared.error().text.find("umount -l"), std::string::npos);
  EXPECT_EQ(mounted_at(directory()).value().type, "fuse.other");
}

TEST_F(Places, ShowTheMountWithItsSourceAndType) {
  mount();
  const auto mounted = mounted_at(directory());
  ASSERT_TRUE(mounted);
  EXPECT_EQ(mounted->type, "fuse.dfs");
  EXPECT_EQ(mounted->source, "memory");
}

TEST_F(Places, GetTheReadAheadTheyAreGiven) {
  mount();
  ASSERT_EQ(errno_of_stat(directory()), 0);
  ASSERT_TRUE(point().set_read_ahead(3 * MiB));
  std::ifstream setting("/sys/class/bdi/" + mounted_at(directory())->device + "/read_ahead_kb");
  std::uint64_t kilobytes = 0;
  setting >> kilobytes;
  EXPECT_EQ(kilobytes, 3072u);
}

TEST_F(Places, AreFreeAfterUnmounting) {
  mount();
  ASSERT_EQ(write_text(path("file"), "text"), 0);
  unmount();
  EXPECT_FALSE(mounted_at(directory()));
  EXPECT_EQ(errno_of_stat(path("file")), ENOENT);
}

TEST_F(Places, AreFreeAfterUnmountingThoughAFileIsOpen) {
  mount();
  ASSERT_EQ(write_text(path("file"), "text"), 0);
  const UniqueFd open(::open(path("file").c_str(), O_RDONLY | O_DIRECT));
  EXPECT_EQ(point().unmount(), MountPoint::Left::still_in_use);
  EXPECT_FALSE(mounted_at(directory()));
  unmount();
  char byte;
  EXPECT_EQ(::read(open.get(), &byte, 1), -1);
  EXPECT_EQ(errno, ENOTCONN);
}

TEST_F(Places, UnmountedBySomebodyElseEndTheSession) {
  mount();
  status_of(directory());
  auto ended = std::async(std::launch::async, [&] { session().wait(); });
  ASSERT_EQ(::umount2(directory().c_str(), 0), 0);
  ended.get();
  point().forget();
}

TEST_F(Places, AreMountedThroughTheHelperToo) {
  MountPoint::Options options;
  options.directory = directory();
  options.source = "memory,with comma";
  options.method = MountPoint::Method::helper;
  auto mounted = MountPoint::mount(options);
  ASSERT_TRUE(mounted) << mounted.error().to_string();
  EXPECT_EQ(mounted_at(directory()).value().source, "memory,with comma");
  EXPECT_EQ(mounted_at(directory()).value().type, "fuse.dfs");
  auto memory = MountMemory::create();
  ASSERT_TRUE(memory) << memory.error().to_string();
  auto session = Session::create({}, mounted->take_device(), files_, SystemClock::instance(), **memory);
  ASSERT_TRUE(session);
  (*session)->start();
  EXPECT_EQ(write_text(path("file"), "text"), 0);
  EXPECT_EQ(mounted->unmount(), MountPoint::Left::nothing);
  EXPECT_FALSE(mounted_at(directory()));
}

TEST_F(Places, ThatTheHelperRefusesAreNamedWithItsWords) {
  MountPoint::Options options;
  options.directory = path("missing");
  options.method = MountPoint::Method::helper;
  const auto mounted = MountPoint::mount(options);
  ASSERT_FALSE(mounted);
  EXPECT_NE(mounted.error().text.find("missing"), std::string::npos);
}

}  // namespace
}  // namespace dfs::fuse
