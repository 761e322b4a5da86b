#include "common/base/sync_pace.h"

#include <gtest/gtest.h>

namespace dfs {
namespace {

using namespace std::chrono_literals;

void took(SyncPace& pace, int times, std::chrono::nanoseconds time) {
  for (int i = 0; i < times; ++i) pace.took(time);
}

TEST(SyncPace, TrustsNoDiskItHasNotMeasured) {
  const SyncPace pace;
  EXPECT_FALSE(pace.is_quick());
}

TEST(SyncPace, CallsADiskQuickAfterSomeQuickSyncs) {
  SyncPace pace;
  took(pace, 20, 150us);
  EXPECT_TRUE(pace.is_quick());
}

TEST(SyncPace, ForgivesASlowSyncNowAndThen) {
  SyncPace pace;
  took(pace, 100, 150us);
  for (int i = 0; i < 10; ++i) {
    pace.took(10ms);
    EXPECT_TRUE(pace.is_quick());
    took(pace, 10, 150us);
  }
}

TEST(SyncPace, NoticesTheSecondSlowSync) {
  SyncPace pace;
  took(pace, 100, 150us);
  pace.took(10ms);
  took(pace, 3, 150us);
  pace.took(10ms);
  EXPECT_FALSE(pace.is_quick());
}

TEST(SyncPace, NeverCallsASlowDiskQuick) {
  SyncPace pace;
  took(pace, 1000, 2ms);
  EXPECT_FALSE(pace.is_quick());
}

}  // namespace
}  // namespace dfs
