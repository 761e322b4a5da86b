#include "common/base/zero_ahead.h"

#include <gtest/gtest.h>

namespace dfs {
namespace {

constexpr std::uint64_t kRecord = 8 * KiB;

// A log whose records are synced after every `per_sync` of them.
struct Log {
  std::uint64_t end = 0;
  std::uint64_t zeros = 0;
  std::uint64_t times = 0;
  ZeroAhead ahead{0};

  void append(int count, int per_sync) {
    for (int i = 0; i < count; ++i) {
      const std::uint64_t wanted = ahead.before_append(end, kRecord);
      EXPECT_TRUE(wanted == 0 || wanted >= kRecord);
      zeros += wanted;
      times += wanted > 0;
      end += kRecord;
      if ((i + 1) % per_sync == 0) ahead.synced();
    }
  }
};

TEST(ZeroAhead, WritesRunsWhileEveryRecordIsSynced) {
  Log log;
  log.append(1000, 1);
  EXPECT_GE(log.ahead.zeroed_to(), log.end);
  EXPECT_LE(log.ahead.zeroed_to(), log.end + ZeroAhead::kRun + kRecord);
  EXPECT_LE(log.times, 1000 * kRecord / ZeroAhead::kRun + 1);
}

TEST(ZeroAhead, WritesNothingWhenSyncsAreRare) {
  Log log;
  log.append(5000, 100);
  EXPECT_EQ(log.zeros, 0u);
}

TEST(ZeroAhead, WritesNothingForAFewSyncs) {
  Log log;
  log.append(ZeroAhead::kSyncsMin, 1);
  EXPECT_EQ(log.zeros, 0u);
}

TEST(ZeroAhead, NoticesWhenSyncsBecomeFrequentAndRareAgain) {
  Log log;
  log.append(5000, 5000);
  log.append(200, 1);
  const std::uint64_t often = log.zeros;
  EXPECT_GT(often, 0u);
  log.append(5000, 5000);
  EXPECT_LE(log.zeros - often, ZeroAhead::kRun + kRecord);
}

TEST(ZeroAhead, TriesAgainLaterWhenThereWasNoRoom) {
  Log log;
  log.append(20, 1);
  ASSERT_GT(log.zeros, 0u);
  log.ahead.given_up(log.end);
  EXPECT_EQ(log.ahead.before_append(log.end, kRecord), 0u) << "not at once";
  log.append(40, 1);
  EXPECT_GE(log.ahead.zeroed_to(), log.end);
}

}  // namespace
}  // namespace dfs
