#include "common/base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "common/base/log_text.h"
#include "tests/support/temporary_directory.h"

namespace dfs {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;

std::string contents(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// Logging is the process's; each test starts it anew and leaves it on stderr.
class Log : public testing::Test {
 protected:
  void start(LogConfig config) {
    config.file = file_.string();
    ASSERT_TRUE(init_logging("dfs-test", config));
  }
  ~Log() override { EXPECT_TRUE(init_logging("dfs-test", {})); }

  const TemporaryDirectory directory_;
  const std::filesystem::path file_ = directory_.path() / "test.log";
};

TEST_F(Log, LineTellsTimeProgramLevelRoomAndSentence) {
  start({});
  log_info("kv", "opened {} of {}", 3, "four");
  EXPECT_THAT(contents(file_),
              MatchesRegex("[0-9]+-[0-9]+-[0-9]+T[0-9]+:[0-9]+:[0-9.]+[+-][0-9:]+ dfs-test info kv: opened 3 of four\n"));
}

TEST_F(Log, LeavesOutWhatIsBelowItsLevel) {
  start({.level = LogLevel::warn});
  log_info("kv", "quiet");
  log_warn("kv", "loud");
  EXPECT_THAT(contents(file_), Not(HasSubstr("quiet")));
  EXPECT_THAT(contents(file_), HasSubstr("loud"));
}

TEST_F(Log, OfLevelOffIsEmpty) {
  start({.level = LogLevel::off});
  log_error("kv", "broken");
  EXPECT_EQ(contents(file_), "");
}

TEST_F(Log, AsJsonIsOneObjectALine) {
  start({.json = true});
  log_error("kv", "a \"quoted\"\nname\\");
  EXPECT_THAT(contents(file_), MatchesRegex("\\{\"time\":\"[^\"]+\",\"level\":\"error\",\"program\":\"dfs-test\","
                                            "\"pid\":[0-9]+,\"thread\":[0-9]+,\"room\":\"kv\","
                                            "\"text\":\"a .\"quoted.\".u000aname..\"}\n"));
}

TEST_F(Log, KeepsThreeOlderFilesOfBoundedSize) {
  start({.file_bytes_max = 4096});
  for (int i = 0; i < 500; ++i) log_info("kv", "line {} {}", i, std::string(100, 'x'));
  flush_logs();
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory_.path())) {
    ++files;
    EXPECT_LE(entry.file_size(), 4096u) << entry.path();
  }
  EXPECT_EQ(files, 4u);
  EXPECT_THAT(contents(file_), HasSubstr("line 499"));
}

TEST_F(Log, ThatCannotBeOpenedIsAnErrorThatNamesIt) {
  const auto started = init_logging("dfs-test", {.file = "/proc/nonexistent/log"});
  ASSERT_FALSE(started);
  EXPECT_THAT(started.error().text, HasSubstr("/proc/nonexistent"));
}

TEST(LogLevel, IsReadByName) {
  EXPECT_EQ(parse_log_level("debug"), LogLevel::debug);
  EXPECT_EQ(parse_log_level("off"), LogLevel::off);
  EXPECT_FALSE(parse_log_level("verbose"));
}

TEST(LogText, KeepsHostileNamesOnOneLine) {
  std::string line;
  append_one_line(line, "a\nb\x1b[2Jc\td\r");
  EXPECT_EQ(line, "a\\nb\\x1b[2Jc\td\\x0d");
}

TEST(LogText, ReplacesWhatIsNotUtf8InJson) {
  std::string line;
  append_json_text(line, "\xc3\xa9\xff|\xc0\x80|\xed\xa0\x80|\xf0\x9f\x98\x80|\xe2\x82");
  EXPECT_EQ(line, "\xc3\xa9\\ufffd|\\ufffd\\ufffd|\\ufffd\\ufffd\\ufffd|\xf0\x9f\x98\x80|\\ufffd\\ufffd");
}

}  // namespace
}  // namespace dfs
