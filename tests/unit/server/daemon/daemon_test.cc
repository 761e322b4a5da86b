#include "server/daemon/daemon.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include <fstream>
#include <sstream>

#include "common/base/unique_fd.h"
#include "tests/support/temporary_directory.h"

namespace dfs {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Parsed {
  DaemonOptions options;
  std::optional<int> code;
  std::string error;
  std::string output;
};

Parsed parse(std::vector<std::string> arguments) {
  Parsed parsed;
  CLI::App app("A server for tests.");
  add_daemon_options(app, parsed.options);
  arguments.insert(arguments.begin(), "dfs-test");
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  testing::internal::CaptureStderr();
  testing::internal::CaptureStdout();
  parsed.code = parse_command_line(app, static_cast<int>(pointers.size()), pointers.data());
  parsed.output = testing::internal::GetCapturedStdout();
  parsed.error = testing::internal::GetCapturedStderr();
  return parsed;
}

TEST(DaemonOptions, AreReadFromTheCommandLine) {
  const Parsed parsed = parse({"--config", "/etc/dfs.toml", "--log-level", "debug", "--log-file", "/x", "--log-format",
                               "json", "--metrics", "127.0.0.1:0", "--ready-fd", "3"});
  ASSERT_FALSE(parsed.code) << parsed.error;
  EXPECT_EQ(parsed.options.config, "/etc/dfs.toml");
  EXPECT_EQ(parsed.options.log_level, "debug");
  EXPECT_EQ(parsed.options.log_file, "/x");
  EXPECT_EQ(parsed.options.log_format, "json");
  EXPECT_EQ(parsed.options.metrics_address, "127.0.0.1:0");
  EXPECT_EQ(parsed.options.ready_fd, 3);
}

TEST(DaemonOptions, ThatAreWrongGiveOneLineAndAnExitCode) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"--no-such-flag"}, {"--log-level", "loud"}, {"--ready-fd", "x"}, {"--ready-fd", "-1"}, {"stray"}}) {
    const Parsed parsed = parse(arguments);
    ASSERT_TRUE(parsed.code) << arguments.front();
    EXPECT_NE(*parsed.code, 0);
    EXPECT_EQ(parsed.output, "");
    EXPECT_EQ(std::count(parsed.error.begin(), parsed.error.end(), '\n'), 1) << parsed.error;
    EXPECT_THAT(parsed.error, HasSubstr(arguments.back()));
  }
}

TEST(DaemonOptions, TellHelpAndVersionOnStandardOutput) {
  const Parsed help = parse({"--help"});
  EXPECT_EQ(help.code, 0);
  EXPECT_THAT(help.output, HasSubstr("--log-level"));
  const Parsed version = parse({"--version"});
  EXPECT_EQ(version.code, 0);
  EXPECT_EQ(version.error, "");
  EXPECT_THAT(version.output, HasSubstr("."));
}

TEST(ReportAndExitCode, PrintsOneLineThatNamesTheProgram) {
  testing::internal::CaptureStderr();
  const int code = report_and_exit_code(Error{Errc::busy, "/data is in use\nby process 1"});
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "dfs_daemon_test: /data is in use by process 1\n");
  EXPECT_EQ(code, 1);
}

// Everything about signals happens in a child, whose log is a file.
class DaemonProcess : public testing::Test {
 protected:
  DaemonProcess() {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    ready_ = UniqueFd(ends[0]);
    ready_writer_ = ends[1];
  }

  void start(std::function<void(Daemon&)> set_up) {
    child_ = ::fork();
    ASSERT_GE(child_, 0);
    if (child_ != 0) {
      ::close(ready_writer_);
      return;
    }
    DaemonOptions options;
    options.log_level = "debug";
    options.log_file = log_.string();
    options.ready_fd = ready_writer_;
    auto daemon = Daemon::start("dfs-test", options);
    if (!daemon) ::_exit(2);
    set_up(**daemon);
    if (!(*daemon)->announce_ready()) ::_exit(3);
    (*daemon)->wait_for_stop();
    daemon->reset();
    ::_exit(0);
  }
  std::string wait_for_ready() {
    char text[16];
    const ssize_t size = ::read(ready_.get(), text, sizeof text);
    return {text, size > 0 ? static_cast<std::size_t>(size) : 0};
  }
  void send(int signal) { ASSERT_EQ(::kill(child_, signal), 0); }
  int wait_for_end() {
    int status = 0;
    EXPECT_EQ(::waitpid(child_, &status, 0), child_);
    return status;
  }
  std::string log() const {
    std::ostringstream text;
    text << std::ifstream(log_).rdbuf();
    return text.str();
  }

  const TemporaryDirectory directory_;
  const std::filesystem::path log_ = directory_.path() / "daemon.log";
  UniqueFd ready_;
  int ready_writer_ = -1;
  pid_t child_ = -1;
};

TEST_F(DaemonProcess, AnnouncesThatItIsReadyAndEndsOnSigterm) {
  start([](Daemon&) {});
  EXPECT_EQ(wait_for_ready(), "ready\n");
  send(SIGTERM);
  EXPECT_EQ(wait_for_end(), 0);
  EXPECT_THAT(log(), HasSubstr("dfs-test was asked to stop by TERM"));
  EXPECT_THAT(log(), HasSubstr("dfs-test has stopped"));
}

TEST_F(DaemonProcess, StopsItsPartsInReverseOrder) {
  start([this](Daemon& daemon) {
    for (const char* part : {"first", "second", "third"}) {
      daemon.on_stop(part, [this, part] { std::ofstream(directory_.path() / "order", std::ios::app) << part << "\n"; });
    }
  });
  EXPECT_EQ(wait_for_ready(), "ready\n");
  send(SIGINT);
  EXPECT_EQ(wait_for_end(), 0);
  std::ostringstream order;
  order << std::ifstream(directory_.path() / "order").rdbuf();
  EXPECT_EQ(order.str(), "third\nsecond\nfirst\n");
}

TEST_F(DaemonProcess, LivesOnWhenItsTerminalOrAPeerGoesAway) {
  start([](Daemon&) {});
  EXPECT_EQ(wait_for_ready(), "ready\n");
  send(SIGHUP);
  send(SIGPIPE);
  send(SIGTERM);
  EXPECT_EQ(wait_for_end(), 0);
}

TEST_F(DaemonProcess, EndsAtOnceOnASecondSignalWhileStopping) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd stopping(ends[0]), never(ends[1]);
  start([&](Daemon& daemon) {
    daemon.on_stop("a part that hangs", [&] {
      const bool told = ::write(ends[1], "s", 1) == 1;
      while (told) ::pause();
    });
  });
  EXPECT_EQ(wait_for_ready(), "ready\n");
  send(SIGTERM);
  char byte;
  ASSERT_EQ(::read(ends[0], &byte, 1), 1);
  send(SIGTERM);
  const int status = wait_for_end();
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGTERM);
}

TEST(Daemon, RefusesAMetricsAddressThatIsNone) {
  sigset_t before;
  ASSERT_EQ(::pthread_sigmask(SIG_SETMASK, nullptr, &before), 0);
  DaemonOptions options;
  options.log_level = "off";
  options.metrics_address = "nowhere";
  const auto daemon = Daemon::start("dfs-test", options);
  ASSERT_EQ(::pthread_sigmask(SIG_SETMASK, &before, nullptr), 0);
  ASSERT_FALSE(daemon);
  EXPECT_THAT(daemon.error().text, HasSubstr("\"nowhere\""));
}

}  // namespace
}  // namespace dfs
