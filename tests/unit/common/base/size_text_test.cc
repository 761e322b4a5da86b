#include <gtest/gtest.h>

#include "common/base/config_file.h"
#include "common/base/ids.h"

namespace dfs {
namespace {

TEST(SizeText, IsReadWithAndWithoutAUnit) {
  EXPECT_EQ(parse_size("1048576"), 1048576u);
  EXPECT_EQ(parse_size("64KiB"), 64 * KiB);
  EXPECT_EQ(parse_size("1.5 GiB"), GiB + GiB / 2);
  EXPECT_EQ(parse_size(" 2 TiB "), 2 * TiB);
  EXPECT_EQ(parse_size("12 B"), 12u);
  EXPECT_EQ(parse_size("18446744073709551615"), ~std::uint64_t{0});
}

TEST(SizeText, WithoutMeaningIsRefused) {
  for (const char* text : {"", "KiB", "-1", "1.5", "10 KB", "1e3KiB", "18446744073709551616", "16777216 TiB",
                           "99999999999 TiB", "nan MiB", "inf MiB", "1 2", "0x10"}) {
    const auto size = parse_size(text);
    ASSERT_FALSE(size) << text;
    EXPECT_EQ(size.error().code, Errc::invalid);
  }
}

TEST(SizeText, IsWrittenInTheLargestUnitThatIsReached) {
  EXPECT_EQ(format_size(0), "0 B");
  EXPECT_EQ(format_size(1023), "1023 B");
  EXPECT_EQ(format_size(1536), "1.5 KiB");
  EXPECT_EQ(format_size(64 * MiB), "64 MiB");
}

TEST(SizeText, SurvivesBeingWrittenAndRead) {
  for (const std::uint64_t size : {KiB, 3 * MiB, 7 * GiB, 5 * TiB}) EXPECT_EQ(parse_size(format_size(size)), size);
}

}  // namespace
}  // namespace dfs
