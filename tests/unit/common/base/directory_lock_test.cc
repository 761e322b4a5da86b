#include "common/base/directory_lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <optional>

#include "tests/support/temporary_directory.h"

namespace dfs {
namespace {

using testing::HasSubstr;

TEST(DirectoryLock, RefusesASecondOwnerAndNamesTheFirst) {
  const TemporaryDirectory directory;
  const auto first = DirectoryLock::acquire(directory.path());
  ASSERT_TRUE(first);
  const auto second = DirectoryLock::acquire(directory.path());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::busy);
  EXPECT_THAT(second.error().text, HasSubstr("process " + std::to_string(::getpid()) + " ("));
  EXPECT_THAT(second.error().text, HasSubstr(directory.path().string()));
}

TEST(DirectoryLock, IsFreeAgainOnceItsOwnerIsGone) {
  const TemporaryDirectory directory;
  {
    auto first = DirectoryLock::acquire(directory.path());
    ASSERT_TRUE(first);
    const DirectoryLock moved = std::move(*first);
    EXPECT_FALSE(DirectoryLock::acquire(directory.path()));
  }
  EXPECT_TRUE(DirectoryLock::acquire(directory.path()));
}

TEST(DirectoryLock, IsFreeAgainAfterItsOwnerWasKilled) {
  const TemporaryDirectory directory;
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const auto lock = DirectoryLock::acquire(directory.path());
    if (lock) ::raise(SIGKILL);
    ::_exit(1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_TRUE(DirectoryLock::acquire(directory.path()));
}

TEST(DirectoryLock, SaysAnotherProcessWhenTheFileDoesNotTell) {
  const TemporaryDirectory directory;
  const auto first = DirectoryLock::acquire(directory.path());
  ASSERT_TRUE(first);
  std::ofstream(directory.path() / "LOCK", std::ios::trunc) << "not a number";
  const auto second = DirectoryLock::acquire(directory.path());
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().text, HasSubstr("another process"));
}

TEST(DirectoryLock, NeedsTheDirectory) {
  const auto lock = DirectoryLock::acquire("/nonexistent/data");
  ASSERT_FALSE(lock);
  EXPECT_EQ(lock.error().code, Errc::not_found);
}

}  // namespace
}  // namespace dfs
