// Names, attributes and extended attributes through a real mount.
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <functional>
#include <set>
#include <thread>
#include <vector>

#include "tests/unit/fuse/mounted.h"

namespace dfs::fuse {
namespace {

class Names : public Mounted {
 protected:
  void SetUp() override {
    Mounted::SetUp();
    if (!HasFatalFailure()) mount();
  }
};

TEST_F(Names, OfAnyBytesAnd255OfThemAreKept) {
  const std::vector<std::string> names = {
      "with space", "with\nnewline", "\xff\xfe not UTF-8", "-rf", std::string(255, 'x'),
      "\u00fcml\u00e4\u00fct \U0001F600", "trailing.", "..."};
  for (const std::string& name : names) {
    ASSERT_EQ(write_text(path(name), name), 0) << name;
    EXPECT_EQ(read_text(path(name)), name);
  }
  std::set<std::string> listed;
  for (const auto& entry : std::filesystem::directory_iterator(directory())) {
    listed.insert(entry.path().filename());
  }
  EXPECT_EQ(listed, std::set<std::string>(names.begin(), names.end()));
  EXPECT_EQ(write_text(path(std::string(256, 'x')), ""), ENAMETOOLONG);
}

TEST_F(Names, OfEveryKindOfFileAreMade) {
  ASSERT_EQ(::mkdir(path("directory").c_str(), 0750), 0);
  ASSERT_EQ(::mkfifo(path("fifo").c_str(), 0640), 0);
  ASSERT_EQ(::mknod(path("device").c_str(), S_IFCHR | 0600, makedev(1, 3)), 0);
  ASSERT_EQ(::mknod(path("socket").c_str(), S_IFSOCK | 0600, 0), 0);
  ASSERT_EQ(::symlink("to/nowhere", path("link").c_str()), 0);
  EXPECT_TRUE(S_ISDIR(status_of(path("directory")).st_mode));
  EXPECT_EQ(status_of(path("directory")).st_mode & 07777, 0750u);
  EXPECT_EQ(status_of(directory()).st_nlink, 3u);
  EXPECT_TRUE(S_ISFIFO(status_of(path("fifo")).st_mode));
  EXPECT_TRUE(S_ISCHR(status_of(path("device")).st_mode));
  EXPECT_EQ(status_of(path("device")).st_rdev, makedev(1, 3));
  EXPECT_TRUE(S_ISSOCK(status_of(path("socket")).st_mode));
  EXPECT_EQ(std::filesystem::read_symlink(path("link")), "to/nowhere");
}

TEST_F(Names, HardLinksShareTheFile) {
  ASSERT_EQ(write_text(path("one"), "text"), 0);
  ASSERT_EQ(::link(path("one").c_str(), path("two").c_str()), 0);
  EXPECT_EQ(status_of(path("one")).st_ino, status_of(path("two")).st_ino);
  EXPECT_EQ(status_of(path("two")).st_nlink, 2u);
  ASSERT_EQ(::unlink(path("one").c_str()), 0);
  EXPECT_EQ(status_of(path("two")).st_nlink, 1u);
  EXPECT_EQ(read_text(path("two")), "text");
}

TEST_F(Names, AreRenamedAsTheFlagsSay) {
  const auto rename_with = [&](const char* from, const char* to, unsigned flags) {
    return errno_of(::renameat2(AT_FDCWD, path(from).c_str(), AT_FDCWD, path(to).c_str(), flags));
  };
  ASSERT_EQ(write_text(path("a"), "A"), 0);
  ASSERT_EQ(write_text(path("b"), "B"), 0);
  EXPECT_EQ(rename_with("a", "b", RENAME_NOREPLACE), EEXIST);
  EXPECT_EQ(rename_with("a", "none", RENAME_EXCHANGE), ENOENT);
  EXPECT_EQ(rename_with("a", "c", RENAME_WHITEOUT), EINVAL);
  EXPECT_EQ(rename_with("a", "b", RENAME_EXCHANGE), 0);
  EXPECT_EQ(read_text(path("a")), "B");
  EXPECT_EQ(read_text(path("b")), "A");
  EXPECT_EQ(rename_with("a", "c", RENAME_NOREPLACE), 0);
  EXPECT_EQ(rename_with("c", "b", 0), 0);
  EXPECT_EQ(read_text(path("b")), "B");
  EXPECT_EQ(errno_of_stat(path("a")), ENOENT);
  EXPECT_EQ(errno_of_stat(path("c")), ENOENT);
}

TEST_F(Names, OfFilesThatAreStillOpenCanBeRemoved) {
  const UniqueFd fd(::open(path("file").c_str(), O_RDWR | O_CREAT, 0600));
  ASSERT_TRUE(fd);
  ASSERT_EQ(::unlink(path("file").c_str()), 0);
  ASSERT_EQ(::pwrite(fd.get(), "text", 4, 0), 4);
  char bytes[4];
  EXPECT_EQ(::pread(fd.get(), bytes, 4, 0), 4);
  struct stat status {};
  ASSERT_EQ(::fstat(fd.get(), &status), 0);
  EXPECT_EQ(status.st_nlink, 0u);
}

TEST_F(Names, KeepTheAttributesTheyAreGiven) {
  ASSERT_EQ(write_text(path("file"), "text"), 0);
  ASSERT_EQ(::chmod(path("file").c_str(), 06754), 0);
  ASSERT_EQ(::chown(path("file").c_str(), 17, 18), 0);
  ASSERT_EQ(::chmod(path("file").c_str(), 06754), 0);  // chown dropped the set-id bits
  const timespec times[2] = {{1'000'000'000, 123'456'789}, {-5, 999'999'999}};
  ASSERT_EQ(::utimensat(AT_FDCWD, path("file").c_str(), times, 0), 0);
  const struct stat status = status_of(path("file"));
  EXPECT_EQ(status.st_mode & 07777, 06754u);
  EXPECT_EQ(status.st_uid, 17u);
  EXPECT_EQ(status.st_gid, 18u);
  EXPECT_EQ(status.st_atim.tv_sec, 1'000'000'000);
  EXPECT_EQ(status.st_atim.tv_nsec, 123'456'789);
  EXPECT_EQ(status.st_mtim.tv_sec, -5);
  EXPECT_EQ(status.st_mtim.tv_nsec, 999'999'999);
  EXPECT_EQ(status.st_ino, files_.find(kRootInode, "file").value());
}

TEST_F(Names, AreProtectedByTheirModes) {
  ASSERT_EQ(::chmod(directory().c_str(), 0755), 0);
  ASSERT_EQ(write_text(path("secret"), "text"), 0);
  ASSERT_EQ(::chmod(path("secret").c_str(), 0600), 0);
  const std::string secret = path("secret"), other = path("other");
  EXPECT_EQ(as_ordinary_user([&] { return ::open(secret.c_str(), O_RDONLY) < 0 ? errno : 0; }),
            EACCES);
  EXPECT_EQ(as_ordinary_user([&] { return errno_of(::mkdir(other.c_str(), 0755)); }), EACCES);
  EXPECT_EQ(as_ordinary_user([&] { return errno_of(::unlink(secret.c_str())); }), EACCES);
}

TEST_F(Names, BelongToWhoMadeThem) {
  ASSERT_EQ(::chmod(directory().c_str(), 01777), 0);
  const std::string made = path("made");
  ASSERT_EQ(as_ordinary_user([&] { return errno_of(::mkdir(made.c_str(), 0700)); }), 0);
  EXPECT_EQ(status_of(made).st_uid, 12345u);
  EXPECT_EQ(status_of(made).st_gid, 12345u);
}

TEST_F(Names, LoseSetIdBitsWhenAnOrdinaryUserWritesTheFile) {
  for (const auto& change : std::vector<std::function<int(const char*)>>{
           [](const char* file) {
             const int fd = ::open(file, O_WRONLY);
             return ::write(fd, "x", 1) == 1 ? 0 : errno;
           },
           [](const char* file) { return errno_of(::truncate(file, 1)); },
           [](const char* file) { return ::open(file, O_WRONLY | O_TRUNC) < 0 ? errno : 0; }}) {
    ASSERT_EQ(write_text(path("file"), "text"), 0);
    ASSERT_EQ(::chmod(path("file").c_str(), 06777), 0);
    ASSERT_EQ(status_of(path("file")).st_mode & 07777, 06777u);
    const std::string file = path("file");
    ASSERT_EQ(as_ordinary_user([&] { return change(file.c_str()); }), 0);
    EXPECT_EQ(status_of(file).st_mode & 07777, 0777u);
    ASSERT_EQ(::unlink(file.c_str()), 0);
  }
}

TEST_F(Names, LoseSetIdBitsWhenAFileIsGivenToNobodyElse) {
  ASSERT_EQ(::chmod(directory().c_str(), 0755), 0);
  ASSERT_EQ(write_text(path("file"), "text"), 0);
  const std::string file = path("file");
  const auto give = [&file] { return errno_of(::chown(file.c_str(), -1, -1)); };
  ASSERT_EQ(::chmod(file.c_str(), 06777), 0);
  EXPECT_EQ(as_ordinary_user(give), 0);
  EXPECT_EQ(status_of(file).st_mode & 07777, 06777u) << "not for others to take";
  ASSERT_EQ(give(), 0);
  EXPECT_EQ(status_of(file).st_mode & 07777, 0777u);
  ASSERT_EQ(::chown(file.c_str(), kSomebody, kSomebody), 0);
  ASSERT_EQ(::chmod(file.c_str(), 06755), 0);
  ASSERT_EQ(as_ordinary_user(give), 0);
  EXPECT_EQ(status_of(file).st_mode & 07777, 0755u);
  ASSERT_EQ(::mkdir(path("shared").c_str(), 0755), 0);
  ASSERT_EQ(::chmod(path("shared").c_str(), 02755), 0);
  ASSERT_EQ(::chown(path("shared").c_str(), -1, -1), 0);
  EXPECT_EQ(status_of(path("shared")).st_mode & 07777, 02755u);
}

TEST_F(Names, OfFilesThatWereBornCanTellWhen) {
  ASSERT_EQ(write_text(path("file"), "text"), 0);
  ASSERT_EQ(::mknod(path("device").c_str(), S_IFCHR | 0600, makedev(300, 70000)), 0);
  for (const char* name : {"file", "device"}) {
    const struct stat before = status_of(path(name));
    struct statx found {};
    ASSERT_EQ(::statx(AT_FDCWD, path(name).c_str(), AT_STATX_FORCE_SYNC | AT_SYMLINK_NOFOLLOW,
                      STATX_BASIC_STATS | STATX_BTIME, &found), 0);
    const Attributes kept =
        *files_.get_attributes(files_.find(kRootInode, name), CallContext{});
    EXPECT_TRUE(found.stx_mask & STATX_BTIME);
    EXPECT_EQ(found.stx_btime.tv_sec * 1'000'000'000 + found.stx_btime.tv_nsec, kept.btime);
    EXPECT_EQ(found.stx_mtime.tv_sec * 1'000'000'000 + found.stx_mtime.tv_nsec, kept.mtime);
    EXPECT_EQ(found.stx_ctime.tv_nsec, before.st_ctim.tv_nsec);
    EXPECT_EQ(found.stx_atime.tv_nsec, before.st_atim.tv_nsec);
    EXPECT_EQ(found.stx_mode, before.st_mode);
    EXPECT_EQ(found.stx_ino, before.st_ino);
    EXPECT_EQ(found.stx_nlink, before.st_nlink);
    EXPECT_EQ(found.stx_size, static_cast<std::uint64_t>(before.st_size));
    EXPECT_EQ(found.stx_blocks, static_cast<std::uint64_t>(before.st_blocks));
    EXPECT_EQ(found.stx_blksize, static_cast<std::uint64_t>(before.st_blksize));
    EXPECT_EQ(makedev(found.stx_rdev_major, found.stx_rdev_minor), before.st_rdev);
  }
}

TEST_F(Names, LoseSetIdBitsThatAppearWhileTheFileIsBeingWritten) {
  ASSERT_EQ(write_text(path("file"), "text"), 0);
  ASSERT_EQ(::chmod(path("file").c_str(), 0777), 0);
  const std::string file = path("file");
  int turn[2], back[2];
  ASSERT_EQ(::pipe(turn) | ::pipe(back), 0);
  std::thread parent([&] {
    char byte;
    ASSERT_EQ(::read(back[0], &byte, 1), 1);  // it has written once
    EXPECT_EQ(::chmod(file.c_str(), 06777), 0);
    ASSERT_EQ(::write(turn[1], "x", 1), 1);
  });
  EXPECT_EQ(as_ordinary_user([&] {
              char byte;
              const int fd = ::open(file.c_str(), O_WRONLY);
              const bool done = ::write(fd, "1", 1) == 1 && ::write(back[1], "x", 1) == 1 &&
                                ::read(turn[0], &byte, 1) == 1 && ::write(fd, "2", 1) == 1;
              return done ? 0 : 1;
            }),
            0);
  parent.join();
  EXPECT_EQ(status_of(file).st_mode & 07777, 0777u);
  for (const int fd : {turn[0], turn[1], back[0], back[1]}) ::close(fd);
}

TEST_F(Names, CarryExtendedAttributes) {
  ASSERT_EQ(write_text(path("file"), "text"), 0);
  const std::string file = path("file"), value = random_bytes(60'000, 1);
  ASSERT_EQ(::setxattr(file.c_str(), "user.big", value.data(), value.size(), 0), 0);
  ASSERT_EQ(::setxattr(file.c_str(), "user.empty", "", 0, 0), 0);
  EXPECT_EQ(errno_of(::setxattr(file.c_str(), "user.big", "", 0, XATTR_CREATE)), EEXIST);
  EXPECT_EQ(errno_of(::setxattr(file.c_str(), "user.none", "", 0, XATTR_REPLACE)), ENODATA);
  std::string got(value.size(), '\0');
  ASSERT_EQ(::getxattr(file.c_str(), "user.big", got.data(), got.size()), 60'000);
  EXPECT_EQ(got, value);
  EXPECT_EQ(::getxattr(file.c_str(), "user.big", nullptr, 0), 60'000);
  EXPECT_EQ(::getxattr(file.c_str(), "user.empty", nullptr, 0), 0);
  EXPECT_EQ(::getxattr(file.c_str(), "user.big", got.data(), 10), -1);
  EXPECT_EQ(errno, ERANGE);
  char names[64];
  ASSERT_EQ(::listxattr(file.c_str(), names, sizeof names), 20);
  EXPECT_EQ(std::string(names, 20), std::string("user.big\0user.empty\0", 20));
  ASSERT_EQ(::removexattr(file.c_str(), "user.big"), 0);
  EXPECT_EQ(errno_of(::removexattr(file.c_str(), "user.big")), ENODATA);
}

TEST_F(Names, HaveAConsistencyThatIsReadAndSetAsAnAttribute) {
  ASSERT_EQ(::mkdir(path("directory").c_str(), 0755), 0);
  const std::string directory = path("directory");
  ASSERT_EQ(::setxattr(directory.c_str(), "dfs.consistency", "relaxed", 7, 0), 0);
  char value[64];
  ASSERT_EQ(::getxattr(directory.c_str(), "dfs.consistency", value, sizeof value), 7);
  EXPECT_EQ(std::string(value, 7), "relaxed");
  EXPECT_EQ(::removexattr(directory.c_str(), "dfs.consistency"), 0);
}

TEST_F(Names, RefuseAttributesOfUnknownKinds) {
  ASSERT_EQ(write_text(path("file"), "text"), 0);
  const std::string file = path("file");
  char value[64];
  for (const char* name : {"nonsense", "user", "unheard.of", "system.nfs4_acl", "dfs.other"}) {
    EXPECT_EQ(errno_of(::setxattr(file.c_str(), name, "1", 1, 0)), EOPNOTSUPP) << name;
    EXPECT_EQ(errno_of(::removexattr(file.c_str(), name)), EOPNOTSUPP) << name;
    EXPECT_EQ(::getxattr(file.c_str(), name, value, sizeof value), -1);
    EXPECT_EQ(errno, EOPNOTSUPP) << name;
  }
  EXPECT_EQ(errno_of(::setxattr(file.c_str(), "user.", "1", 1, 0)), EINVAL);
}

TEST_F(Names, HaveNoLabelUnlessOneWasSet) {
  ASSERT_EQ(write_text(path("file"), "text"), 0);
  const std::string file = path("file");
  char value[64];
  EXPECT_EQ(::getxattr(file.c_str(), "security.selinux", value, sizeof value), -1);
  EXPECT_EQ(errno, EOPNOTSUPP) << "else ls asks each file";
  ASSERT_EQ(::setxattr(file.c_str(), "security.selinux", "a:b:c", 5, 0), 0);
  EXPECT_EQ(::getxattr(file.c_str(), "security.selinux", value, sizeof value), 5);
}

TEST_F(Names, OfTheWholeFileSystemHaveRoom) {
  struct statvfs space {};
  ASSERT_EQ(::statvfs(directory().c_str(), &space), 0);
  EXPECT_EQ(space.f_blocks * space.f_frsize, 100 * GiB);
  EXPECT_EQ(space.f_bavail * space.f_frsize, 60 * GiB);
  EXPECT_EQ(space.f_namemax, 255u);
  EXPECT_GT(space.f_favail, 0u);
}

TEST_F(Names, AnswerUnknownControlCallsAsAFileDoes) {
  const UniqueFd fd(::open(path("file").c_str(), O_RDWR | O_CREAT, 0600));
  EXPECT_EQ(errno_of(::ioctl(fd.get(), 0x1234, nullptr)), ENOTTY);
  EXPECT_EQ(::isatty(fd.get()), 0);
  EXPECT_EQ(errno, ENOTTY);
}

}  // namespace
}  // namespace dfs::fuse
