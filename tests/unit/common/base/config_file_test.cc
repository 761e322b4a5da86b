#include "common/base/config_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "common/base/ids.h"
#include "tests/support/temporary_directory.h"

namespace dfs {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class EnvironmentVariable {
 public:
  EnvironmentVariable(const char* name, const char* value) : name_(name) { ::setenv(name, value, 1); }
  ~EnvironmentVariable() { ::unsetenv(name_); }

 private:
  const char* name_;
};

ConfigFile parsed(std::string_view text) { return std::move(ConfigFile::parse(text)).value(); }

TEST(ConfigFile, ReadsEveryKindOfValue) {
  auto file = parsed(R"(
name = "a"
path = "/var/lib/dfs"
on = true
count = 7
small = 8
wait_ms = 1500
room = "64KiB"
bytes = 4096
[disk]
directories = ["/a", "/b c"]
)");
  std::string name;
  std::filesystem::path path;
  bool on = false;
  std::uint64_t count = 0, room = 0, bytes = 0;
  std::uint32_t small = 0;
  std::chrono::milliseconds wait{};
  std::vector<std::string> directories;
  EXPECT_TRUE(file.read("name", name));
  EXPECT_TRUE(file.read("path", path));
  EXPECT_TRUE(file.read("on", on));
  EXPECT_TRUE(file.read("count", count, 1, 10));
  EXPECT_TRUE(file.read("small", small, 1u, 10u));
  EXPECT_TRUE(file.read("wait_ms", wait, 1ms, 2000ms));
  EXPECT_TRUE(file.read_size("room", room, 0, MiB));
  EXPECT_TRUE(file.read_size("bytes", bytes, 0, MiB));
  EXPECT_TRUE(file.read("disk.directories", directories));
  EXPECT_TRUE(file.finish());
  EXPECT_EQ(name, "a");
  EXPECT_EQ(path, "/var/lib/dfs");
  EXPECT_TRUE(on);
  EXPECT_EQ(count, 7u);
  EXPECT_EQ(small, 8u);
  EXPECT_EQ(wait, 1500ms);
  EXPECT_EQ(room, 64 * KiB);
  EXPECT_EQ(bytes, 4096u);
  EXPECT_EQ(directories, (std::vector<std::string>{"/a", "/b c"}));
}

TEST(ConfigFile, LeavesDefaultsAloneWhereItSaysNothing) {
  auto file = parsed("");
  std::uint64_t count = 5;
  EXPECT_TRUE(file.read("count", count, 1, 10));
  EXPECT_EQ(count, 5u);
  EXPECT_TRUE(file.finish());
}

TEST(ConfigFile, RefusesAKeyThatNobodyReadAndNamesTheFirst) {
  auto file = parsed("known = 1\n\n[zeta]\nmisspelt = 2\n[alpha]\nx = 1\n");
  std::uint64_t known = 0;
  ASSERT_TRUE(file.read("known", known, 0, 9));
  const auto done = file.finish();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Errc::invalid);
  EXPECT_THAT(done.error().text, HasSubstr("text:3: there is no setting \"zeta\""));
}

TEST(ConfigFile, RefusesAnUnknownKeyInsideAKnownTable) {
  auto file = parsed("[disk]\nroom = 1\nrom = 2\n");
  std::uint64_t room = 0;
  ASSERT_TRUE(file.read_size("disk.room", room, 0, 9));
  const auto done = file.finish();
  ASSERT_FALSE(done);
  EXPECT_THAT(done.error().text, HasSubstr("text:3: there is no setting \"disk.rom\""));
}

TEST(ConfigFile, NamesLineKeyValueAndRangeOfANumberOutOfRange) {
  auto file = parsed("\n\ncount = 50\n");
  std::uint64_t count = 5;
  const auto read = file.read("count", count, 1, 10);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Errc::invalid);
  EXPECT_EQ(read.error().text, "text:3: count is 50, but must be a whole number from 1 to 10");
  EXPECT_EQ(count, 5u);
}

TEST(ConfigFile, RefusesValuesOfAnotherKind) {
  auto file = parsed("a = -1\nb = 1.5\nc = \"7\"\nd = 3\ne = \"yes\"\nf = [1]\ng = \"10 apples\"\n[t]\n");
  std::uint64_t number = 0;
  std::string text;
  bool flag = false;
  std::vector<std::string> list;
  EXPECT_FALSE(file.read("a", number, 0, 10));
  EXPECT_FALSE(file.read("b", number, 0, 10));
  EXPECT_FALSE(file.read("c", number, 0, 10));
  EXPECT_FALSE(file.read("d", text));
  EXPECT_FALSE(file.read("e", flag));
  EXPECT_FALSE(file.read("f", list));
  EXPECT_FALSE(file.read_size("g", number, 0, 10));
  EXPECT_FALSE(file.read("t", text));
}

TEST(ConfigFile, NamesTheLineThatIsNotToml) {
  const auto file = ConfigFile::parse("a = 1\nb = \n");
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code, Errc::invalid);
  EXPECT_THAT(file.error().text, HasSubstr("text:2: "));
}

TEST(ConfigFile, RefusesKeysThatBeginWithWhatNoneBeginsWith) {
  for (const char* text : {"a = 1\n [\x01", "a = 1\n [\x01table]\n", "a = 1\nt\uFEFBii = 1\n", "\u00e9 = 1\n"}) {
    const auto file = ConfigFile::parse(text);
    ASSERT_FALSE(file);
    EXPECT_EQ(file.error().code, Errc::invalid);
    EXPECT_THAT(file.error().text, HasSubstr("text:"));
  }
}

TEST(ConfigFile, LetsTheEnvironmentWinAndChecksItTheSame) {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "dfs.toml";
  std::ofstream(path) << "[disk]\nwait_ms = 5\nnames = [\"a\"]\n";
  const EnvironmentVariable wait_variable("DFS_TEST_DISK_WAIT_MS", "700");
  const EnvironmentVariable names_variable("DFS_TEST_DISK_NAMES", "x,y");
  auto file = std::move(ConfigFile::load(path, "DFS_TEST")).value();
  std::chrono::milliseconds wait{};
  std::vector<std::string> names;
  EXPECT_TRUE(file.read("disk.wait_ms", wait, 0ms, 1000ms));
  EXPECT_TRUE(file.read("disk.names", names));
  EXPECT_TRUE(file.finish());
  EXPECT_EQ(wait, 700ms);
  EXPECT_EQ(names, (std::vector<std::string>{"x", "y"}));

  const auto refused = file.read("disk.wait_ms", wait, 0ms, 10ms);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().text, HasSubstr("DFS_TEST_DISK_WAIT_MS is \"700\""));
}

TEST(ConfigFile, NamesAFileThatIsNotThere) {
  const auto file = ConfigFile::load("/nonexistent/dfs.toml", "DFS_TEST");
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code, Errc::not_found);
  EXPECT_THAT(file.error().text, HasSubstr("/nonexistent/dfs.toml"));
}

TEST(ConfigFile, IsEmptyWithoutAPath) {
  auto file = ConfigFile::load({}, "DFS_TEST");
  ASSERT_TRUE(file);
  EXPECT_TRUE(file->finish());
}

TEST(ConfigFile, RefusesADirectoryAndAFileOfMegabytes) {
  const TemporaryDirectory directory;
  EXPECT_FALSE(ConfigFile::load(directory.path(), "DFS_TEST"));
  const auto path = directory.path() / "huge.toml";
  std::ofstream(path) << "# " << std::string(2 * MiB, 'x') << "\n";
  const auto file = ConfigFile::load(path, "DFS_TEST");
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code, Errc::too_big);
}

}  // namespace
}  // namespace dfs
