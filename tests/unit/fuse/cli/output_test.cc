#include "fuse/cli/output.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace dfs::cli {
namespace {

TEST(Table, MakesColumnsAsWideAsTheirWidestCell) {
  Table table({{"NAME"}, {"SIZE", Table::Align::right}});
  table.add({"a", "1"});
  table.add({"longer", "22222"});
  EXPECT_EQ(table.text(), "NAME     SIZE\na           1\nlonger  22222\n");
}

TEST(Table, CountsLettersNotBytes) {
  Table table({{"NAME"}, {"X"}});
  table.add({"\u00e4\u00f6\u00fc", "1"});
  table.add({"abcd", "2"});
  EXPECT_EQ(table.text(), "NAME  X\n\u00e4\u00f6\u00fc   1\nabcd  2\n");
}

TEST(Output, ShowsControlCharactersEscaped) {
  EXPECT_EQ(escaped("a\nb\tc\x1b[0m"), "a\\nb\\tc\\x1b[0m");
}

TEST(Output, MakesOneLineOfSeveral) {
  EXPECT_EQ(one_line("first\nsecond\n"), "first; second");
}

TEST(Output, WritesModesAsLsDoes) {
  EXPECT_EQ(format_mode(FileType::directory, 0755), "drwxr-xr-x");
  EXPECT_EQ(format_mode(FileType::regular, 04755), "-rwsr-xr-x");
  EXPECT_EQ(format_mode(FileType::directory, 01776), "drwxrwxrwT");
  EXPECT_EQ(format_mode(FileType::symlink, 0777), "lrwxrwxrwx");
}

TEST(Output, SaysInJsonWhatMayBeAssumedOfAnInode) {
  Attributes attributes;
  EXPECT_EQ(to_json(attributes)["consistency"], "strict");
  attributes.consistency = Consistency::close_to_open;
  EXPECT_EQ(to_json(attributes)["consistency"], "close-to-open");
}

TEST(Output, SaysDurationsInTwoUnitsAtMost) {
  EXPECT_EQ(format_duration(5), "5 s");
  EXPECT_EQ(format_duration(125), "2 min 5 s");
  EXPECT_EQ(format_duration(3 * 3600 + 20 * 60 + 1), "3 h 20 min");
  EXPECT_EQ(format_duration(49 * 3600), "2 d 1 h");
}

}  // namespace
}  // namespace dfs::cli
