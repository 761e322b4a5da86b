#include "fuse/cli/remote_path.h"

#include <gtest/gtest.h>

namespace dfs::cli {
namespace {

using Names = std::vector<std::string>;

TEST(SplitPath, IgnoresRepeatedLeadingAndTrailingSlashes) {
  EXPECT_EQ(split_path("//a///b/").value(), (Names{"a", "b"}));
  EXPECT_EQ(split_path("a/b").value(), (Names{"a", "b"}));
  EXPECT_EQ(split_path("/").value(), Names{});
  EXPECT_EQ(split_path("").value(), Names{});
}

TEST(SplitPath, KeepsDotsAndOddBytes) {
  EXPECT_EQ(split_path("/./../a b\n\xff").value(), (Names{".", "..", "a b\n\xff"}));
}

TEST(SplitPath, RefusesNamesAndPathsLongerThanLinuxTakes) {
  EXPECT_TRUE(split_path(std::string(255, 'x')).has_value());
  EXPECT_EQ(split_path(std::string(256, 'x')).error().code, Errc::name_too_long);
  std::string path;
  while (path.size() <= 4095) path += "/abcdefg";
  EXPECT_EQ(split_path(path).error().code, Errc::name_too_long);
}

TEST(JoinPath, PutsOneSlashBetween) {
  EXPECT_EQ(join_path("", "a"), "/a");
  EXPECT_EQ(join_path("/", "a"), "/a");
  EXPECT_EQ(join_path("/a", "b"), "/a/b");
}

}  // namespace
}  // namespace dfs::cli
