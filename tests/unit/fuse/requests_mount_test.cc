// How requests are served: side by side, interruptible, never stuck.
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <functional>
#include <future>
#include <thread>
#include <vector>

#include <linux/fuse.h>

#include "fuse/notifier.h"
#include "tests/unit/fuse/mounted.h"

namespace dfs::fuse {
namespace {

using namespace std::chrono_literals;

class Requests : public Mounted {};

// Long enough never to pass on a slow machine; nothing waits for it to.
constexpr std::chrono::milliseconds kForever{60'000};

void look_up_two_names(const std::filesystem::path& one, const std::filesystem::path& other) {
  std::thread first([&] { errno_of_stat(one); });
  std::thread second([&] { errno_of_stat(other); });
  first.join();
  second.join();
}

TEST_F(Requests, TwoSlowLookupsInOneDirectoryOverlap) {
  files_.obstacles().slow_lookups("slow", kForever, 2);
  mount();
  look_up_two_names(path("slow-1"), path("slow-2"));
  EXPECT_EQ(files_.obstacles().slow_lookups_at_once_max(), 2u);
}

// The counterpart of the test above: it is the edited INIT reply that does it.
TEST_F(Requests, TwoSlowLookupsInOneDirectoryTakeTurnsWithoutTheEditedInitReply) {
  files_.obstacles().slow_lookups("slow", 300ms, 2);
  SessionConfig config;
  config.features.parallel_directory_operations = false;
  mount(config);
  look_up_two_names(path("slow-1"), path("slow-2"));
  EXPECT_EQ(files_.obstacles().slow_lookups_at_once_max(), 1u);
}

TEST_F(Requests, TheKernelAgreesToWhatIsAskedFor) {
  mount();
  status_of(directory());
  const std::uint64_t agreed = session().facts().agreed_flags;
  EXPECT_TRUE(agreed & FUSE_PARALLEL_DIROPS);
  EXPECT_TRUE(agreed & FUSE_HANDLE_KILLPRIV_V2);
  EXPECT_TRUE(agreed & FUSE_MAX_PAGES);
  EXPECT_TRUE(agreed & FUSE_ATOMIC_O_TRUNC);
  EXPECT_TRUE(agreed & FUSE_EXPORT_SUPPORT);
  EXPECT_FALSE(agreed & FUSE_WRITEBACK_CACHE);
  EXPECT_FALSE(agreed & FUSE_ASYNC_DIO);
  EXPECT_TRUE(agreed & FUSE_POSIX_LOCKS);
  EXPECT_TRUE(agreed & FUSE_FLOCK_LOCKS);
}

// One thread is stuck in each read; there are more of them than threads to begin with.
TEST_F(Requests, BlockedRequestsDoNotStopOthers) {
  constexpr int kReaders = 8;
  mount();
  for (int number = 0; number < kReaders; ++number) {
    ASSERT_EQ(write_text(path(std::to_string(number)), "text"), 0);
  }
  files_.obstacles().block_reads(true);
  std::vector<std::future<std::string>> readers;
  for (int number = 0; number < kReaders; ++number) {
    readers.push_back(std::async(std::launch::async,
                                 [this, number] { return read_text(path(std::to_string(number))); }));
  }
  files_.obstacles().wait_for_blocked_reads(kReaders);
  EXPECT_EQ(write_text(path("other"), "served meanwhile"), 0);
  EXPECT_GT(session().facts().threads, std::size_t{kReaders});
  files_.obstacles().block_reads(false);
  for (auto& reader : readers) EXPECT_EQ(reader.get(), "text");
}

TEST_F(Requests, WhatNeedsAWaitAfterAllIsPutOffAndAnsweredOnce) {
  SessionConfig config;
  config.attribute_timeout = 0ms;
  mount(config);
  ASSERT_EQ(write_text(path("file"), "text"), 0);
  files_.obstacles().keep_attributes_away();
  const auto before = files_.counts();
  for (int round = 0; round < 3; ++round) EXPECT_EQ(status_of(path("file")).st_size, 4);
  const auto after = files_.counts();
  EXPECT_GE(after.put_off, before.put_off + 3);
  EXPECT_EQ(after.put_off - before.put_off, after.get_attributes - before.get_attributes);
}

// A thread that blocks in `call` is sent a signal as soon as `blocked` returns.
int errno_after_signal(const std::function<int()>& call, const std::function<void()>& blocked) {
  struct sigaction action {};
  action.sa_handler = [](int) {};
  ::sigaction(SIGUSR1, &action, nullptr);
  std::promise<int> result;
  auto outcome = result.get_future();
  std::thread caller([&] { result.set_value(call()); });
  blocked();
  while (outcome.wait_for(10ms) != std::future_status::ready) {
    ::pthread_kill(caller.native_handle(), SIGUSR1);
  }
  caller.join();
  return outcome.get();
}

int errno_of_direct_read(const std::filesystem::path& file) {
  const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_DIRECT));
  if (!fd) return errno;
  alignas(4096) char bytes[4096];
  return ::read(fd.get(), bytes, sizeof bytes) < 0 ? errno : 0;
}

TEST_F(Requests, ASignalEndsABlockedRead) {
  mount();
  ASSERT_EQ(write_text(path("file"), "text"), 0);
  files_.obstacles().block_reads(true);
  EXPECT_EQ(errno_after_signal([&] { return errno_of_direct_read(path("file")); },
                               [&] { files_.obstacles().wait_for_blocked_reads(1); }),
            EINTR);
  EXPECT_EQ(files_.counts().interrupted, 1u);
}

TEST_F(Requests, ASignalEndsABlockedReadWhileEveryThreadIsBlocked) {
  constexpr unsigned kThreads = 2;
  SessionConfig config;
  config.threads_max = kThreads;
  mount(config);
  ASSERT_EQ(write_text(path("file"), "text"), 0);
  files_.obstacles().block_reads(true);
  std::vector<std::future<int>> others;
  for (unsigned number = 0; number < kThreads + 1; ++number) {
    others.push_back(
        std::async(std::launch::async, [&] { return errno_of_direct_read(path("file")); }));
  }
  files_.obstacles().wait_for_blocked_reads(kThreads);
  // The request of this one is kept aside, or one of the others' is; either
  // way an answer for it is only possible when interrupts are still read.
  EXPECT_EQ(errno_after_signal([&] { return errno_of_direct_read(path("file")); }, [] {}), EINTR);
  files_.obstacles().block_reads(false);
  for (auto& other : others) EXPECT_EQ(other.get(), 0);
}

TEST_F(Requests, AKilledProgramDoesNotHangInARead) {
  mount();
  ASSERT_EQ(write_text(path("file"), "text"), 0);
  const std::string file = path("file");
  files_.obstacles().block_reads(true);
  const pid_t child = ::fork();
  if (child == 0) {
    const int fd = ::open(file.c_str(), O_RDONLY);
    char byte;
    ::_exit(::read(fd, &byte, 1) == 1 ? 0 : 1);
  }
  files_.obstacles().wait_for_blocked_reads(1);
  ::kill(child, SIGKILL);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status));
}

TEST_F(Requests, AtTheLimitOfThreadsRequestsWaitAndAreServedLater) {
  SessionConfig config;
  config.threads_max = 2;
  mount(config);
  ASSERT_EQ(write_text(path("file"), "text"), 0);
  files_.obstacles().block_reads(true);
  std::vector<std::future<int>> readers;
  for (int number = 0; number < 12; ++number) {
    readers.push_back(
        std::async(std::launch::async, [&] { return errno_of_direct_read(path("file")); }));
  }
  files_.obstacles().wait_for_blocked_reads(2);
  EXPECT_LE(session().facts().threads, 3u);
  files_.obstacles().block_reads(false);
  for (auto& reader : readers) EXPECT_EQ(reader.get(), 0);
}

TEST_F(Requests, ManyProgramsAtOnceAreServed) {
  for (const int spin_us : {0, 50}) {
    SessionConfig config;
    config.spin = std::chrono::microseconds(spin_us);
    config.threads_max = 4;
    mount(config);
    std::atomic<int> wrong = 0;
    std::vector<std::thread> programs;
    for (int number = 0; number < 8; ++number) {
      programs.emplace_back([&, number] {
        for (int round = 0; round < 200; ++round) {
          const auto file = path(std::to_string(number) + "-" + std::to_string(round % 7));
          const std::string text = std::to_string(round);
          if (write_text(file, text) != 0 || read_text(file) != text) ++wrong;
        }
      });
    }
    for (auto& program : programs) program.join();
    EXPECT_EQ(wrong, 0);
    unmount();
  }
}

TEST_F(Requests, AnErrorOfTheEngineReachesTheProgramAsErrno) {
  mount();
  ASSERT_EQ(write_text(path("file"), "text"), 0);
  for (const Errc code : {Errc::no_space, Errc::quota, Errc::io}) {
    files_.obstacles().fail_contents(code);
    EXPECT_EQ(write_text(path("file"), "more"), to_errno(code));
  }
  files_.obstacles().fail_contents(Errc::ok);
  ASSERT_EQ(write_text(path("file"), "text"), 0);
  files_.obstacles().fail_contents(Errc::corrupt);
  EXPECT_EQ(errno_of_direct_read(path("file")), EIO);
  files_.obstacles().fail_contents(Errc::ok);
}

// The size as the kernel knows it; stat(2) asks for the access time too, which
// the kernel does not know any more once a file has been read.
std::uint64_t size_in_kernel(const std::filesystem::path& file) {
  struct statx status {};
  EXPECT_EQ(::statx(AT_FDCWD, file.c_str(), 0, STATX_SIZE, &status), 0);
  return status.stx_size;
}

TEST_F(Requests, ANotificationMakesTheKernelForget) {
  SessionConfig config;
  config.attribute_timeout = config.entry_timeout = kForever;
  mount(config);
  ASSERT_EQ(write_text(path("file"), "old"), 0);
  ASSERT_EQ(read_text(path("file")), "old");
  const UniqueFd open(::open(path("file").c_str(), O_RDONLY));
  const InodeId inode = files_.find(kRootInode, "file");
  files_.overwrite_elsewhere(inode, "brand new");
  ASSERT_EQ(size_in_kernel(path("file")), 3u) << "the kernel should still believe the old size";

  ASSERT_TRUE(session().notifier().invalidate_inode(inode));
  session().notifier().drain();
  char bytes[16];
  EXPECT_EQ(::pread(open.get(), bytes, sizeof bytes, 0), 9);
  EXPECT_EQ(std::string(bytes, 9), "brand new");

  const auto lookups = files_.counts().lookups;
  status_of(path("file"));
  EXPECT_EQ(files_.counts().lookups, lookups) << "the kernel should still know the name";
  ASSERT_TRUE(session().notifier().invalidate_entry(kRootInode, "file"));
  session().notifier().drain();
  status_of(path("file"));
  EXPECT_EQ(files_.counts().lookups, lookups + 1);
}

// As when what a link is made to has just been removed elsewhere.
TEST_F(Requests, ThatMakeNamesTellOfWhatIsGoneAlsoWhereAbsencesAreKept) {
  files_.keep_absences();
  mount();
  ASSERT_EQ(write_text(path("file"), "text"), 0);
  files_.obstacles().fail_names(Errc::not_found);
  EXPECT_EQ(errno_of(::link(path("file").c_str(), path("other").c_str())), ENOENT);
  EXPECT_EQ(errno_of(::mkdir(path("other").c_str(), 0755)), ENOENT);
  EXPECT_EQ(errno_of(::mkfifo(path("other").c_str(), 0644)), ENOENT);
  EXPECT_EQ(errno_of(::symlink("to", path("other").c_str())), ENOENT);
}

}  // namespace
}  // namespace dfs::fuse
