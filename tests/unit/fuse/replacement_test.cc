#include <gtest/gtest.h>

#include "fuse/supervisor/supervisor.h"

namespace dfs::fuse {
namespace {

using namespace std::chrono_literals;
using Cause = Replacement::Cause;

TEST(Replacement, OfAWorkerThatLivedIsMadeAtOnce) {
  Replacement replacement;
  for (int times = 0; times < 100; ++times) EXPECT_EQ(replacement.pause_after(1s, Cause::crashed), 0ms);
}

TEST(Replacement, OfThoseThatDieAtOnceComesLaterAndLater) {
  Replacement replacement;
  EXPECT_EQ(replacement.pause_after(10ms, Cause::crashed), 0ms);
  EXPECT_EQ(replacement.pause_after(10ms, Cause::crashed), 0ms);
  EXPECT_EQ(replacement.pause_after(10ms, Cause::crashed), 50ms);
  EXPECT_EQ(replacement.pause_after(10ms, Cause::crashed), 100ms);
  EXPECT_EQ(replacement.pause_after(5s, Cause::crashed), 0ms) << "one that lived";
}

TEST(Replacement, OfAWorkerThatWasKilledIsMadeAtOnceHoweverOften) {
  Replacement replacement;
  for (int times = 0; times < 100; ++times)
    EXPECT_EQ(replacement.pause_after(10ms, Cause::killed), 0ms);
}

TEST(Replacement, OfOneThatIsKilledBeforeItServesComesLaterAndIsNeverGivenUp) {
  Replacement replacement;
  for (unsigned times = 0; times < 2 * Replacement::kInARowMax; ++times)
    EXPECT_TRUE(replacement.pause_after(10ms, Cause::killed_early));
  EXPECT_EQ(replacement.pause_after(10ms, Cause::killed_early), 2s);
  EXPECT_EQ(replacement.pause_after(10ms, Cause::killed), 0ms);
}

TEST(Replacement, IsGivenUpInTheEnd) {
  Replacement replacement;
  for (unsigned times = 0; times < Replacement::kInARowMax; ++times)
    EXPECT_TRUE(replacement.pause_after(10ms, Cause::crashed));
  EXPECT_FALSE(replacement.pause_after(10ms, Cause::crashed));
}

}  // namespace
}  // namespace dfs::fuse
