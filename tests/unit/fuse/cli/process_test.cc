#include "fuse/cli/local/process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "tests/support/temporary_directory.h"

namespace dfs::cli {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

class ProcessTest : public testing::Test {
 protected:
  // A shell script gets "--ready-fd N" as $0 and $1.
  Result<Launched> launch(const std::string& script) {
    return Launched::start({{"/bin/sh", "-c", script}, output()});
  }
  std::filesystem::path output() const { return directory_.path() / "out"; }
  static SteadyTime soon() { return SystemClock::instance().now() + 20s; }

 private:
  TemporaryDirectory directory_;
};

TEST_F(ProcessTest, IsWaitedForUntilItSaysThatItIsReady) {
  auto launched = launch("echo hello; echo ready >&$1; exec sleep 1000");
  ASSERT_TRUE(launched.has_value()) << launched.error().to_string();
  const auto ready = launched->wait_ready(soon());
  EXPECT_TRUE(ready.has_value()) << ready.error().to_string();
  EXPECT_TRUE(is_alive(launched->process()));
  EXPECT_THAT(last_lines(output(), 5), ElementsAre("hello"));

  EXPECT_TRUE(signal_and_wait(launched->process(), SIGTERM, 20s).has_value());
  EXPECT_FALSE(is_alive(launched->process()));
}

TEST_F(ProcessTest, ThatEndsBeforeItIsReadyIsAnErrorThatSaysHow) {
  auto launched = launch("exit 7");
  ASSERT_TRUE(launched.has_value());
  const auto ready = launched->wait_ready(soon());
  ASSERT_FALSE(ready.has_value());
  EXPECT_EQ(ready.error().code, Errc::unavailable);
  EXPECT_THAT(ready.error().text, HasSubstr("status 7"));
}

TEST_F(ProcessTest, ThatNeverGetsReadyRunsIntoTheDeadline) {
  auto launched = launch("exec sleep 1000");
  ASSERT_TRUE(launched.has_value());
  const auto ready = launched->wait_ready(SystemClock::instance().now());
  ASSERT_FALSE(ready.has_value());
  EXPECT_EQ(ready.error().code, Errc::timed_out);
  EXPECT_TRUE(signal_and_wait(launched->process(), SIGKILL, 20s).has_value());
}

TEST_F(ProcessTest, ThatCannotBeExecutedIsAnError) {
  const auto launched = Launched::start({{"/no/such/program"}, output()});
  ASSERT_FALSE(launched.has_value());
  EXPECT_EQ(launched.error().code, Errc::not_found);
}

TEST_F(ProcessTest, IsNeverMistakenForAnotherOneWithItsNumber) {
  auto launched = launch("echo ready >&$1; exec sleep 1000");
  ASSERT_TRUE(launched.has_value());
  ASSERT_TRUE(launched->wait_ready(soon()).has_value());

  ProcessIdentity older = launched->process();
  older.start_ticks -= 1;
  EXPECT_FALSE(is_alive(older));
  EXPECT_TRUE(signal_and_wait(older, SIGKILL, 20s).has_value());
  EXPECT_TRUE(is_alive(launched->process()));

  ProcessIdentity before_reboot = launched->process();
  before_reboot.boot = "another boot";
  EXPECT_FALSE(is_alive(before_reboot));

  EXPECT_TRUE(signal_and_wait(launched->process(), SIGKILL, 20s).has_value());
}

TEST(LastLines, AreTheEndOfTheFile) {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "log";
  {
    std::ofstream file(path);
    for (int line = 0; line < 100'000; ++line) file << "line " << line << '\n';
  }
  EXPECT_THAT(last_lines(path, 2), ElementsAre("line 99998", "line 99999"));
  EXPECT_TRUE(last_lines(directory.path() / "none", 2).empty());
}

TEST(ShellQuoted, IsReadBackByAShellAsItWas) {
  EXPECT_EQ(shell_quoted({"/bin/dfs", "a b", "it's", ""}), R"(/bin/dfs 'a b' 'it'\''s' '')");
}

}  // namespace
}  // namespace dfs::cli
