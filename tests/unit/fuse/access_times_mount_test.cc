// Access times through a real mount: what counts as an access.
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "tests/unit/fuse/mounted.h"

namespace dfs::fuse {
namespace {

constexpr timespec kLongAgo{1'000'000, 5};

class AccessTimesOfAMount : public Mounted {
 protected:
  void SetUp() override {
    Mounted::SetUp();
    if (HasFatalFailure()) return;
    SessionConfig config;
    // Nothing moves but what the kernel is told to forget.
    config.attribute_timeout = std::chrono::hours{1};
    mount(config);
    ASSERT_EQ(write_text(path("file"), "text"), 0);
    ASSERT_EQ(::mkdir(path("directory").c_str(), 0755), 0);
    ASSERT_EQ(::symlink("file", path("symlink").c_str()), 0);
    for (const char* name : {"file", "directory", "symlink"}) {
      const timespec times[] = {kLongAgo, kLongAgo};
      ASSERT_EQ(::utimensat(AT_FDCWD, path(name).c_str(), times, AT_SYMLINK_NOFOLLOW), 0);
      ASSERT_FALSE(moved(name));
    }
  }
  bool moved(const char* name) {
    const timespec now = status_of(path(name)).st_atim;
    return now.tv_sec != kLongAgo.tv_sec || now.tv_nsec != kLongAgo.tv_nsec;
  }
  void read_through(int fd) {
    char byte = 0;
    EXPECT_EQ(::read(fd, &byte, 1), 1);
  }
  void list_through(int fd) {
    DIR* stream = ::fdopendir(fd);
    ASSERT_NE(stream, nullptr);
    while (::readdir(stream) != nullptr) {
    }
    ::closedir(stream);
  }
};

TEST_F(AccessTimesOfAMount, AreMovedByReadingListingAndFollowing) {
  const UniqueFd file(::open(path("file").c_str(), O_RDONLY));
  EXPECT_FALSE(moved("file")) << "opening alone";
  read_through(file.get());
  EXPECT_TRUE(moved("file"));
  list_through(::open(path("directory").c_str(), O_RDONLY | O_DIRECTORY));
  EXPECT_TRUE(moved("directory"));
  EXPECT_EQ(::access(path("symlink").c_str(), R_OK), 0);
  EXPECT_TRUE(moved("symlink"));
}

TEST_F(AccessTimesOfAMount, StayWhereONoatimeIsAskedFor) {
  const UniqueFd file(::open(path("file").c_str(), O_RDONLY | O_NOATIME));
  read_through(file.get());
  EXPECT_FALSE(moved("file"));
  const UniqueFd later(::open(path("file").c_str(), O_RDONLY));
  ASSERT_EQ(::fcntl(later.get(), F_SETFL, O_NOATIME), 0);
  read_through(later.get());
  EXPECT_FALSE(moved("file")) << "asked for by fcntl";
  list_through(::open(path("directory").c_str(), O_RDONLY | O_DIRECTORY | O_NOATIME));
  EXPECT_FALSE(moved("directory"));
}

TEST_F(AccessTimesOfAMount, ShowAfterAnOpenWhoseReadsTheKernelAnswers) {
  files_.keep_pages();
  const UniqueFd file(::open(path("file").c_str(), O_RDONLY));
  session().notifier().drain();
  EXPECT_TRUE(moved("file"));
}

}  // namespace
}  // namespace dfs::fuse
