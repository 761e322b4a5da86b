#include "common/client/read_ahead.h"

#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace dfs {
namespace {

constexpr std::uint64_t kMax = 32 * MiB;
constexpr std::uint64_t kHuge = 100 * GiB;

TEST(ReadAhead, DoublesItsWindowUpToTheLimitForOneSequentialReader) {
  ReadAhead ahead(kMax);
  std::uint64_t fetched_to = 0;
  std::uint64_t widest = 0;
  for (std::uint64_t at = 0; at < 256 * MiB; at += 128 * KiB) {
    const FileRange range = ahead.on_read(at, 128 * KiB, kHuge);
    const std::uint64_t read_to = at + 128 * KiB;
    if (range.length > 0) {
      EXPECT_GE(range.offset, fetched_to) << "nothing is fetched twice";
      fetched_to = range.offset + range.length;
    }
    EXPECT_LE(fetched_to, std::max(read_to, fetched_to));
    if (fetched_to > read_to) widest = std::max(widest, fetched_to - read_to);
    EXPECT_LE(fetched_to, read_to + kMax);
  }
  EXPECT_GE(widest, kMax - 1 * MiB);
  EXPECT_GE(fetched_to, 256 * MiB);
}

TEST(ReadAhead, StartsAtOnceAtTheStartOfAFileAndStopsAtItsEnd) {
  ReadAhead ahead(kMax);
  const FileRange range = ahead.on_read(0, 4096, 300000);
  EXPECT_EQ(range.offset, 4096U);
  EXPECT_EQ(range.length, 300000U - 4096);
  EXPECT_EQ(ahead.on_read(4096, 4096, 300000).length, 0U);
}

TEST(ReadAhead, WaitsForASecondReadInTheMiddleOfAFile) {
  ReadAhead ahead(kMax);
  EXPECT_EQ(ahead.on_read(1 * GiB, 4096, kHuge).length, 0U);
  EXPECT_GT(ahead.on_read(1 * GiB + 4096, 4096, kHuge).length, 0U);
}

TEST(ReadAhead, GivesNothingToARandomReader) {
  const unsigned seed = 7;
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  ReadAhead ahead(kMax);
  std::uint64_t total = 0;
  for (int i = 0; i < 10000; ++i) {
    const std::uint64_t block = 1 + random() % (kHuge / 4096 - 1);
    total += ahead.on_read(block * 4096, 4096, kHuge).length;
  }
  EXPECT_EQ(total, 0U);
}

TEST(ReadAhead, FollowsEightReadersOfOneFile) {
  ReadAhead ahead(kMax);
  std::vector<std::uint64_t> last(8, 0);
  for (std::uint64_t step = 0; step < 64; ++step) {
    for (std::uint64_t reader = 0; reader < 8; ++reader) {
      last[reader] += ahead.on_read(reader * GiB + step * 128 * KiB, 128 * KiB, kHuge).length;
    }
  }
  for (std::uint64_t reader = 0; reader < 8; ++reader) EXPECT_GE(last[reader], 8 * MiB) << reader;
}

TEST(ReadAhead, ForgivesRequestsThatArriveOutOfOrder) {
  ReadAhead ahead(kMax);
  std::uint64_t total = 0;
  for (std::uint64_t at = 0; at < 64 * MiB; at += 512 * KiB) {
    total += ahead.on_read(at + 256 * KiB, 256 * KiB, kHuge).length;
    total += ahead.on_read(at, 256 * KiB, kHuge).length;
  }
  EXPECT_GE(total, 48 * MiB);
}

}  // namespace
}  // namespace dfs
