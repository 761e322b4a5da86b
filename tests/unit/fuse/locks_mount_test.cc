// fcntl(2) and flock(2) on a real mount, against programs of this mount and
// against another mount.
#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <functional>
#include <future>
#include <thread>

#include <linux/fuse.h>

#include "common/base/unique_fd.h"
#include "tests/unit/fuse/mounted.h"

namespace dfs::fuse {
namespace {

using namespace std::chrono_literals;

struct flock range(short type, off_t start = 0, off_t length = 0) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = start;
  lock.l_len = length;
  return lock;
}

int set(int fd, int command, struct flock lock) {
  return ::fcntl(fd, command, &lock) == 0 ? 0 : errno;
}

int flock_errno(int fd, int operation) { return ::flock(fd, operation) == 0 ? 0 : errno; }

// In a process of its own, which owns its POSIX locks; returns what `work` does.
int in_child(const std::function<int()>& work) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(work());
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

class LocksOnMount : public Mounted {
 protected:
  void SetUp() override {
    Mounted::SetUp();
    SessionConfig config;
    config.attribute_timeout = 60s;
    mount(config);
    ASSERT_EQ(write_text(path("file"), "some text"), 0);
    inode = files_.find(kRootInode, "file");
  }
  UniqueFd open_file(int flags = O_RDWR) const {
    UniqueFd fd(::open(path("file").c_str(), flags | O_CLOEXEC));
    EXPECT_TRUE(fd);
    return fd;
  }
  // Everything of the file, by another mount.
  void lock_elsewhere(LockKind kind, LockFamily family = LockFamily::posix) {
    EXPECT_TRUE(files_.lock_elsewhere(inode, {family, kind, 1, 0, kLockEndMax, 0}));
  }

  InodeId inode;
};

TEST_F(LocksOnMount, OfTwoProcessesExcludeEachOther) {
  const UniqueFd fd = open_file();
  ASSERT_EQ(set(fd.get(), F_SETLK, range(F_WRLCK, 10, 10)), 0);
  EXPECT_EQ(in_child([&] { return set(open_file().get(), F_SETLK, range(F_RDLCK, 19, 1)); }), EAGAIN);
  EXPECT_EQ(in_child([&] { return set(open_file().get(), F_SETLK, range(F_WRLCK, 20, 0)); }), 0);
  EXPECT_EQ(set(fd.get(), F_SETLK, range(F_UNLCK)), 0);
  EXPECT_EQ(files_.counts().locks, 0u) << "the other process has ended";
}

TEST_F(LocksOnMount, AreTold) {
  const UniqueFd fd = open_file();
  ASSERT_EQ(set(fd.get(), F_SETLK, range(F_WRLCK, 10, 10)), 0);
  const pid_t holder = ::getpid();
  const auto asks = [&] {
    struct flock asked = range(F_RDLCK);
    if (::fcntl(open_file().get(), F_GETLK, &asked) != 0) return errno;
    const bool right = asked.l_type == F_WRLCK && asked.l_start == 10 && asked.l_len == 10 &&
                       asked.l_pid == holder;
    return right ? 0 : 1;
  };
  EXPECT_EQ(in_child(asks), 0);
  ASSERT_EQ(set(fd.get(), F_SETLK, range(F_WRLCK, 10, 0)), 0);
  const auto asks_again = [&] {
    struct flock asked = range(F_RDLCK, 1000, 1);
    if (::fcntl(open_file().get(), F_GETLK, &asked) != 0) return errno;
    return asked.l_start == 10 && asked.l_len == 0 ? 0 : 1;
  };
  EXPECT_EQ(in_child(asks_again), 0) << "to the end of the file";
  struct flock own = range(F_WRLCK);
  ASSERT_EQ(::fcntl(fd.get(), F_GETLK, &own), 0);
  EXPECT_EQ(own.l_type, F_UNLCK) << "nobody is in one's own way";
}

TEST_F(LocksOnMount, OfOpenFileDescriptionsBelongToThese) {
  const UniqueFd one = open_file();
  const UniqueFd two = open_file();
  ASSERT_EQ(set(one.get(), F_OFD_SETLK, range(F_WRLCK, 0, 10)), 0);
  EXPECT_EQ(set(two.get(), F_OFD_SETLK, range(F_RDLCK, 5, 1)), EAGAIN);
  EXPECT_EQ(set(two.get(), F_SETLK, range(F_RDLCK, 5, 1)), EAGAIN) << "of the process";
  EXPECT_EQ(set(UniqueFd(::dup(one.get())).get(), F_OFD_SETLK, range(F_RDLCK, 0, 10)), 0);
  EXPECT_EQ(set(two.get(), F_OFD_SETLK, range(F_RDLCK, 5, 1)), 0);
}

TEST_F(LocksOnMount, OfAProcessEndWithAnyDescriptorAndThoseOfFilesWithTheLast) {
  const UniqueFd one = open_file();
  ASSERT_EQ(set(one.get(), F_SETLK, range(F_WRLCK, 0, 10)), 0);
  ASSERT_EQ(set(one.get(), F_OFD_SETLK, range(F_WRLCK, 20, 10)), 0);
  ASSERT_EQ(flock_errno(one.get(), LOCK_EX), 0);
  EXPECT_EQ(files_.counts().locks, 3u);
  open_file(O_RDONLY);
  EXPECT_EQ(files_.counts().locks, 2u) << "though it was not locked through this one";
  UniqueFd same(::dup(one.get()));
  same = UniqueFd();
  EXPECT_EQ(files_.counts().locks, 2u);
}

TEST_F(LocksOnMount, ThroughWhatWasOpenedForReadingBeforeEndWithIt) {
  {
    const UniqueFd before = open_file(O_RDONLY);
    ASSERT_EQ(set(before.get(), F_SETLK, range(F_RDLCK)), 0);
  }
  const UniqueFd fd = open_file();
  // The kernel does not wait for the answer to the release.
  EXPECT_EQ(set(fd.get(), F_OFD_SETLKW, range(F_WRLCK)), 0);
}

TEST_F(LocksOnMount, OfOpenFilesEndWhenTheseDo) {
  {
    const UniqueFd one = open_file();
    ASSERT_EQ(set(one.get(), F_OFD_SETLK, range(F_WRLCK, 20, 10)), 0);
    ASSERT_EQ(flock_errno(one.get(), LOCK_EX), 0);
  }
  // The kernel does not wait for the answer to a release.
  const UniqueFd two = open_file();
  EXPECT_EQ(flock_errno(two.get(), LOCK_EX), 0);
  EXPECT_EQ(set(two.get(), F_OFD_SETLKW, range(F_WRLCK)), 0);
}

TEST_F(LocksOnMount, AProcessThatIsKilledLeavesNone) {
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const int fd = ::open(path("file").c_str(), O_RDWR);
    const bool all = set(fd, F_SETLK, range(F_WRLCK)) == 0 && flock_errno(fd, LOCK_EX) == 0;
    if (all) static_cast<void>(::write(ready[1], "x", 1));
    ::pause();
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  const UniqueFd fd = open_file();
  EXPECT_EQ(flock_errno(fd.get(), LOCK_EX | LOCK_NB), EAGAIN);
  EXPECT_EQ(set(fd.get(), F_SETLK, range(F_WRLCK)), EAGAIN);
  ::kill(child, SIGKILL);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_EQ(set(fd.get(), F_SETLKW, range(F_WRLCK)), 0);
  EXPECT_EQ(flock_errno(fd.get(), LOCK_EX), 0);
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_F(LocksOnMount, AreWaitedForWithoutAThread) {
  constexpr unsigned kWaiters = 40;
  lock_elsewhere(LockKind::exclusive);
  std::vector<std::future<int>> waiters;
  for (unsigned count = 0; count < kWaiters; ++count) {
    waiters.push_back(std::async(std::launch::async, [this] {
      const UniqueFd fd = open_file();
      return set(fd.get(), F_OFD_SETLKW, range(F_RDLCK));
    }));
  }
  files_.wait_for_lock_waits(kWaiters);
  EXPECT_LT(session().facts().busy, kWaiters);
  EXPECT_EQ(read_text(path("file")), "some text") << "served meanwhile";
  lock_elsewhere(LockKind::unlocked);
  for (auto& waiter : waiters) EXPECT_EQ(waiter.get(), 0);
}

TEST_F(LocksOnMount, ASignalEndsAWait) {
  struct sigaction action {};
  action.sa_handler = [](int) {};
  ::sigaction(SIGUSR1, &action, nullptr);
  for (const bool whole : {false, true}) {
    lock_elsewhere(LockKind::exclusive, whole ? LockFamily::flock : LockFamily::posix);
    const UniqueFd fd = open_file();
    std::promise<int> result;
    auto outcome = result.get_future();
    std::thread caller([&] {
      result.set_value(whole ? flock_errno(fd.get(), LOCK_EX)
                             : set(fd.get(), F_SETLKW, range(F_WRLCK)));
    });
    files_.wait_for_lock_waits(1);
    while (outcome.wait_for(10ms) != std::future_status::ready)
      ::pthread_kill(caller.native_handle(), SIGUSR1);
    caller.join();
    EXPECT_EQ(outcome.get(), EINTR);
    EXPECT_EQ(files_.counts().lock_waits, 0u);
  }
}

TEST_F(LocksOnMount, AProgramThatWaitsCanBeKilled) {
  lock_elsewhere(LockKind::exclusive);
  const std::string file = path("file");
  const pid_t child = ::fork();
  if (child == 0) ::_exit(set(::open(file.c_str(), O_RDWR), F_SETLKW, range(F_WRLCK)));
  files_.wait_for_lock_waits(1);
  ::kill(child, SIGKILL);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status));
}

TEST_F(LocksOnMount, ADeadlockIsTold) {
  const UniqueFd fd = open_file();
  ASSERT_EQ(set(fd.get(), F_SETLK, range(F_WRLCK, 0, 1)), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const int own = ::open(path("file").c_str(), O_RDWR);
    if (set(own, F_SETLK, range(F_WRLCK, 1, 1)) != 0) ::_exit(1);
    ::_exit(set(own, F_SETLKW, range(F_WRLCK, 0, 1)));
  }
  files_.wait_for_lock_waits(1);
  EXPECT_EQ(set(fd.get(), F_SETLKW, range(F_WRLCK, 1, 1)), EDEADLK);
  EXPECT_EQ(set(fd.get(), F_SETLK, range(F_UNLCK)), 0);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

// The kernel caches bytes and size for a minute here.
TEST_F(LocksOnMount, ShowWhatOthersWroteUnderThem) {
  const UniqueFd fd = open_file();
  char bytes[32];
  ASSERT_EQ(::pread(fd.get(), bytes, sizeof bytes, 0), 9);
  for (const bool waits : {false, true}) {
    const std::string text = waits ? "what was written at last" : "other words";
    lock_elsewhere(LockKind::exclusive);
    files_.overwrite_elsewhere(inode, text);
    if (!waits) lock_elsewhere(LockKind::unlocked);
    auto locked = std::async(std::launch::async,
                             [&] { return set(fd.get(), F_OFD_SETLKW, range(F_RDLCK)); });
    if (waits) {
      files_.wait_for_lock_waits(1);
      lock_elsewhere(LockKind::unlocked);
    }
    ASSERT_EQ(locked.get(), 0);
    struct stat status {};
    ASSERT_EQ(::fstat(fd.get(), &status), 0);
    EXPECT_EQ(static_cast<std::size_t>(status.st_size), text.size());
    EXPECT_EQ(::pread(fd.get(), bytes, sizeof bytes, 0), static_cast<ssize_t>(text.size()));
    EXPECT_EQ(std::string(bytes, text.size()), text);
    ASSERT_EQ(set(fd.get(), F_OFD_SETLK, range(F_UNLCK)), 0);
  }
}

TEST_F(LocksOnMount, ASessionThatEndsAnswersThoseThatWait) {
  lock_elsewhere(LockKind::exclusive);
  const UniqueFd fd = open_file();
  auto waiter = std::async(std::launch::async,
                           [&] { return set(fd.get(), F_OFD_SETLKW, range(F_WRLCK)); });
  files_.wait_for_lock_waits(1);
  kill_session();
  EXPECT_NE(waiter.get(), 0);
  EXPECT_EQ(files_.counts().lock_waits, 0u);
}

}  // namespace
}  // namespace dfs::fuse
