// Files without a name through a real mount: O_TMPFILE.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include <fmt/format.h>

#include "common/base/unique_fd.h"
#include "tests/unit/fuse/mounted.h"

namespace dfs::fuse {
namespace {

class Unnamed : public Mounted {
 protected:
  void SetUp() override {
    Mounted::SetUp();
    if (!HasFatalFailure()) mount();
  }
  UniqueFd make(int flags = O_RDWR, mode_t mode = 0600) const {
    return UniqueFd(::open(directory().c_str(), flags | O_TMPFILE, mode));
  }
  int link_to(const UniqueFd& fd, const std::string& name) const {
    const std::string place = fmt::format("/proc/self/fd/{}", fd.get());
    return errno_of(::linkat(AT_FDCWD, place.c_str(), AT_FDCWD, path(name).c_str(), AT_SYMLINK_FOLLOW));
  }
  static nlink_t links_of(const UniqueFd& fd) {
    struct stat status {};
    EXPECT_EQ(::fstat(fd.get(), &status), 0);
    return status.st_nlink;
  }
};

TEST_F(Unnamed, FilesAreReadWrittenAndGoneWhenClosed) {
  UniqueFd fd = make(O_RDWR, 0640);
  ASSERT_TRUE(fd) << errno;
  EXPECT_EQ(links_of(fd), 0u);
  ASSERT_EQ(::pwrite(fd.get(), "text", 4, 0), 4);
  char bytes[4];
  EXPECT_EQ(::pread(fd.get(), bytes, 4, 0), 4);
  EXPECT_TRUE(std::filesystem::is_empty(directory()));
  EXPECT_EQ(files_.counts().open_now, 1u);
  fd = UniqueFd{};
  unmount();
  EXPECT_EQ(files_.stat_fs({})->inodes_used, 1u) << "the root is left";
}

TEST_F(Unnamed, FilesGetANameByALink) {
  const UniqueFd fd = make();
  ASSERT_TRUE(fd);
  ASSERT_EQ(::write(fd.get(), "text", 4), 4);
  ASSERT_EQ(link_to(fd, "name"), 0);
  EXPECT_EQ(links_of(fd), 1u);
  EXPECT_EQ(read_text(path("name")), "text");
  EXPECT_EQ(link_to(fd, "name"), EEXIST);
  EXPECT_EQ(link_to(fd, "other"), 0);
  EXPECT_EQ(status_of(path("other")).st_nlink, 2u);
}

TEST_F(Unnamed, FilesOpenedExclusivelyGetNone) {
  const UniqueFd fd = make(O_RDWR | O_EXCL);
  ASSERT_TRUE(fd);
  EXPECT_EQ(link_to(fd, "name"), ENOENT);
}

TEST_F(Unnamed, FilesThatHaveLostTheirNameGetNoOther) {
  const UniqueFd fd = make();
  ASSERT_EQ(link_to(fd, "name"), 0);
  ASSERT_EQ(::unlink(path("name").c_str()), 0);
  EXPECT_EQ(link_to(fd, "other"), ENOENT);
}

TEST_F(Unnamed, FilesTakeTheUmaskAndBelongToTheirMaker) {
  const mode_t before = ::umask(027);
  const UniqueFd fd = make(O_RDWR, 0666);
  ::umask(before);
  struct stat status {};
  ASSERT_EQ(::fstat(fd.get(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0640u);
  ASSERT_EQ(::chmod(directory().c_str(), 0755), 0);
  EXPECT_EQ(as_ordinary_user([this] { return make() ? 0 : errno; }), EACCES);
}

}  // namespace
}  // namespace dfs::fuse
