// Access control lists through a real mount: the kernel enforces them, and what
// it leaves to us arrives.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <string>

#include "fuse/kernel_abi.h"
#include "tests/unit/fuse/mounted.h"

namespace dfs::fuse {
namespace {

constexpr const char* kAccess = "system.posix_acl_access";
constexpr const char* kDefault = "system.posix_acl_default";
constexpr gid_t kForeignGroup = 17;

// owner rw-, user:12345:rw-, group r--, mask rw-, others ---
const std::string kList("\x02\0\0\0" "\x01\0\x06\0\xff\xff\xff\xff" "\x02\0\x06\0\x39\x30\0\0"
                        "\x04\0\x04\0\xff\xff\xff\xff" "\x10\0\x06\0\xff\xff\xff\xff"
                        "\x20\0\0\0\xff\xff\xff\xff", 44);

class AccessControlLists : public Mounted {
 protected:
  void SetUp() override {
    Mounted::SetUp();
    if (!HasFatalFailure()) umask_ = ::umask(022);
  }
  void TearDown() override {
    ::umask(umask_);
    Mounted::TearDown();
  }
  void mount_without() {
    SessionConfig config;
    config.features.access_control_lists = false;
    mount(config);
  }
  std::string make_file(mode_t mode) {
    EXPECT_EQ(::chmod(directory().c_str(), 0755), 0);
    EXPECT_EQ(write_text(path("file"), "text"), 0);
    EXPECT_EQ(::chmod(path("file").c_str(), mode), 0);
    return path("file");
  }
  static int set(const std::string& file, const char* name, const std::string& list) {
    return errno_of(::setxattr(file.c_str(), name, list.data(), list.size(), 0));
  }
  static int open_as_ordinary_user(const std::string& file, int flags) {
    return as_ordinary_user([&] { return ::open(file.c_str(), flags) < 0 ? errno : 0; });
  }

 private:
  mode_t umask_ = 0;
};

TEST_F(AccessControlLists, AreAgreedOnWithTheKernel) {
  mount();
  EXPECT_EQ(::access(directory().c_str(), F_OK), 0);
  constexpr std::uint64_t kAll = FUSE_POSIX_ACL | FUSE_DONT_MASK | FUSE_SETXATTR_EXT;
  EXPECT_EQ(session().facts().agreed_flags & kAll, kAll);
}

TEST_F(AccessControlLists, LetInWhomTheyNameAndAreGivenBack) {
  mount();
  const std::string file = make_file(0660);
  EXPECT_EQ(open_as_ordinary_user(file, O_RDWR), EACCES);
  ASSERT_EQ(set(file, kAccess, kList), 0);
  EXPECT_EQ(open_as_ordinary_user(file, O_RDWR), 0);
  char value[64];
  ASSERT_EQ(::getxattr(file.c_str(), kAccess, value, sizeof value), 44);
  EXPECT_EQ(std::string(value, 44), kList);
  ASSERT_EQ(::removexattr(file.c_str(), kAccess), 0);
  EXPECT_EQ(open_as_ordinary_user(file, O_RDWR), EACCES);
}

TEST_F(AccessControlLists, TakeSetGidWhenTheGroupIsNotTheOwners) {
  mount();
  const std::string file = make_file(0755);
  ASSERT_EQ(::chown(file.c_str(), kSomebody, kForeignGroup), 0);
  ASSERT_EQ(::chmod(file.c_str(), 02755), 0);
  ASSERT_EQ(set(file, kAccess, kList), 0);
  EXPECT_EQ(status_of(file).st_mode & 07000, 02000u) << "root may keep it";
  EXPECT_EQ(as_ordinary_user([&] { return set(file, kAccess, kList); }), 0);
  EXPECT_EQ(status_of(file).st_mode & 07000, 0u);
}

TEST_F(AccessControlLists, LeaveTheUmaskToWhatIsMade) {
  mount();
  ::umask(027);
  ASSERT_EQ(::mkdir(path("directory").c_str(), 0777), 0);
  ASSERT_EQ(::mknod(path("node").c_str(), 0666, 0), 0);
  ASSERT_EQ(::close(::open(path("created").c_str(), O_WRONLY | O_CREAT, 0666)), 0);
  EXPECT_EQ(status_of(path("directory")).st_mode & 07777, 0750u);
  EXPECT_EQ(status_of(path("node")).st_mode & 07777, 0640u);
  EXPECT_EQ(status_of(path("created")).st_mode & 07777, 0640u);
}

TEST_F(AccessControlLists, OfDirectoriesAreAskedForOnceWhileTheyAreKnown) {
  mount();
  make_file(0644);
  as_ordinary_user([&] { return ::access(path("file").c_str(), R_OK); });
  const auto before = files_.counts().get_xattrs;
  for (int round = 0; round < 100; ++round) ::access(path("file").c_str(), R_OK);
  EXPECT_LE(files_.counts().get_xattrs, before + 5);
}

TEST_F(AccessControlLists, AreRefusedWhereNobodyEnforcesThem) {
  mount_without();
  const std::string file = make_file(0644);
  char value[64];
  EXPECT_EQ(::getxattr(file.c_str(), kAccess, value, sizeof value), -1);
  EXPECT_EQ(errno, EOPNOTSUPP);
  EXPECT_EQ(set(file, kAccess, kList), EOPNOTSUPP);
  EXPECT_EQ(set(directory(), kDefault, kList), EOPNOTSUPP);
  ::umask(027);
  ASSERT_EQ(::mkdir(path("directory").c_str(), 0777), 0);
  EXPECT_EQ(status_of(path("directory")).st_mode & 07777, 0750u);
}

}  // namespace
}  // namespace dfs::fuse
