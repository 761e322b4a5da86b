#include "common/base/checksum.h"

#include <gtest/gtest.h>

#include <string>

namespace dfs {
namespace {

TEST(Checksum, IsTheXxh3Of64BitsWithSeedZero) {
  EXPECT_EQ(checksum_of({}), 0x2d06800538d394c2u);  // the published value for no bytes
}

TEST(Checksum, CoversEachBlockAndItsShorterEnd) {
  const std::string bytes(2 * kBlockSize + 1, 'x');
  const auto sums = block_checksums(as_bytes(bytes));
  ASSERT_EQ(sums.size(), 3u);
  EXPECT_EQ(sums.size(), block_count(bytes.size()));
  EXPECT_EQ(sums[0], sums[1]);
  EXPECT_NE(sums[0], sums[2]);
  EXPECT_EQ(sums[2], checksum_of(as_bytes("x")));
}

TEST(Checksum, DoesNotHoldOnceOneBitIsWrong) {
  std::string bytes(kBlockSize + 100, 'x');
  const auto sums = block_checksums(as_bytes(bytes));
  EXPECT_TRUE(checksums_hold(as_bytes(bytes), sums.data(), sums.size()));
  bytes[kBlockSize + 99] ^= 1;
  EXPECT_FALSE(checksums_hold(as_bytes(bytes), sums.data(), sums.size()));
}

TEST(Checksum, DoesNotHoldForAnotherNumberOfBlocks) {
  const std::string bytes(kBlockSize, 'x');
  const auto sums = block_checksums(as_bytes(bytes));
  EXPECT_FALSE(checksums_hold(as_bytes(bytes), sums.data(), 0));
  EXPECT_EQ(block_count(0), 0u);
}

}  // namespace
}  // namespace dfs
