#include "fuse/cli/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/ids.h"

namespace dfs::cli {
namespace {

using testing::HasSubstr;
using testing::Not;
using namespace std::chrono_literals;

TEST(ProgressLine, ShowsShareRateAndTimeLeft) {
  const std::string line = progress_line(
      {.title = "put", .bytes_done = 1 * GiB, .bytes_total = 4 * GiB, .elapsed = 4s}, 100);
  EXPECT_THAT(line, HasSubstr("put  [="));
  EXPECT_THAT(line, HasSubstr("25 %"));
  EXPECT_THAT(line, HasSubstr("256 MiB/s"));
  EXPECT_THAT(line, HasSubstr("13 s left"));
}

TEST(ProgressLine, FitsTheTerminal) {
  const ProgressFacts facts{.title = "get",
                            .bytes_done = 123'456'789,
                            .bytes_total = 987'654'321,
                            .files_done = 3,
                            .files_total = 1000,
                            .elapsed = 7s};
  for (std::size_t columns = 2; columns < 200; ++columns)
    EXPECT_LT(progress_line(facts, columns).size(), columns) << columns;
}

TEST(ProgressLine, HasNoBarWhenTheTotalIsNotKnown) {
  const std::string line = progress_line({.title = "put", .bytes_done = 10 * MiB, .elapsed = 1s}, 100);
  EXPECT_THAT(line, Not(HasSubstr("[")));
  EXPECT_THAT(line, Not(HasSubstr("left")));
}

TEST(ProgressLine, NeverShowsMoreThanAll) {
  const std::string line =
      progress_line({.title = "put", .bytes_done = 20, .bytes_total = 10, .elapsed = 1s}, 100);
  EXPECT_THAT(line, HasSubstr("100 %"));
}

}  // namespace
}  // namespace dfs::cli
