#include "common/client/access_times.h"

#include <gtest/gtest.h>

#include "tests/support/fake_clock.h"

namespace dfs {
namespace {

using namespace std::chrono_literals;
using Noted = AccessTimes::Noted;

class AccessTimesTest : public ::testing::Test {
 protected:
  // Accessed last, and changed last, so long ago.
  Attributes file(std::uint64_t inode, std::chrono::nanoseconds accessed,
                  std::chrono::nanoseconds changed) const {
    Attributes attributes;
    attributes.inode = InodeId{inode};
    attributes.atime = clock_.wall() - accessed.count();
    attributes.mtime = attributes.ctime = clock_.wall() - changed.count();
    return attributes;
  }
  Noted read(const Attributes& seen) { return times_.note(seen, clock_.wall(), clock_.now()); }
  WallNanos shown(Attributes attributes) const {
    times_.show(attributes);
    return attributes.atime;
  }
  std::optional<TouchArgs> take_due() { return times_.take_due(clock_.now() - 1s); }
  void settle() {
    times_.answered(true);
    times_.drop_settled();
  }

  FakeClock clock_;
  AccessTimes times_;
};

TEST_F(AccessTimesTest, MoveByTheRuleOfRelatime) {
  EXPECT_NE(read(file(1, 10s, 5s)), Noted::no) << "changed since";
  EXPECT_NE(read(file(2, 10s, 10s)), Noted::no) << "changed in the same moment";
  EXPECT_EQ(read(file(3, 5s, 10s)), Noted::no) << "accessed since";
  EXPECT_EQ(read(file(4, 24h - 1ns, 48h)), Noted::no) << "not a day ago";
  EXPECT_NE(read(file(5, 24h, 48h)), Noted::no) << "a day ago";
  Attributes touched = file(6, 10s, 5s);
  touched.ctime = touched.atime - 1;
  EXPECT_NE(read(touched), Noted::no) << "by mtime alone";
  touched = file(7, 10s, 5s);
  touched.mtime = touched.atime - 1;
  EXPECT_NE(read(touched), Noted::no) << "by ctime alone";
}

TEST_F(AccessTimesTest, ShowAtOnceAndCountOnce) {
  const Attributes seen = file(1, 10s, 5s);
  ASSERT_NE(read(seen), Noted::no);
  const WallNanos first = clock_.wall();
  EXPECT_EQ(shown(seen), first);
  clock_.advance(1s);
  EXPECT_EQ(read(seen), Noted::no) << "though its reader knows only what the server told";
  EXPECT_EQ(shown(seen), first);
}

TEST_F(AccessTimesTest, AreSentTogetherAfterAnInterval) {
  const Attributes one = file(1, 10s, 5s);
  EXPECT_EQ(read(one), Noted::yes_and_wake);
  clock_.advance(900ms);
  const Attributes two = file(2, 10s, 5s);
  EXPECT_EQ(read(two), Noted::yes);
  EXPECT_FALSE(take_due());
  clock_.advance(100ms);
  const auto message = take_due();
  ASSERT_TRUE(message);
  ASSERT_EQ(message->times.size(), 2U);
  for (const AccessTime& time : message->times) {
    const Attributes& seen = time.inode == one.inode ? one : two;
    EXPECT_EQ(time, (AccessTime{seen.inode, seen.atime, shown(seen)}));
  }
  EXPECT_FALSE(take_due());
}

TEST_F(AccessTimesTest, AreSentSoonerWhenAMessageIsFull) {
  for (std::size_t i = 1; i < kAccessTimesPerTouchMax; ++i) read(file(i, 10s, 5s));
  EXPECT_FALSE(take_due());
  EXPECT_EQ(read(file(kAccessTimesPerTouchMax, 10s, 5s)), Noted::yes_and_wake);
  EXPECT_EQ(take_due()->times.size(), kAccessTimesPerTouchMax);
}

TEST_F(AccessTimesTest, HaveOneMessageOnItsWayAtATime) {
  read(file(1, 10s, 5s));
  clock_.advance(1s);
  ASSERT_TRUE(take_due());
  read(file(2, 10s, 5s));
  clock_.advance(10s);
  EXPECT_FALSE(take_due());
  settle();
  EXPECT_TRUE(take_due());
}

TEST_F(AccessTimesTest, ShowUntilTheServerHasThemAndTheCachesToo) {
  const Attributes seen = file(1, 10s, 5s);
  read(seen);
  clock_.advance(1s);
  const auto message = take_due();
  EXPECT_TRUE(times_.settled().empty());
  times_.drop_settled();
  EXPECT_EQ(shown(seen), message->times[0].accessed) << "not answered yet";
  times_.answered(true);
  EXPECT_EQ(times_.settled(), message->times);
  EXPECT_EQ(shown(seen), message->times[0].accessed);
  times_.drop_settled();
  EXPECT_EQ(shown(seen), seen.atime);
  EXPECT_TRUE(times_.empty());
}

TEST_F(AccessTimesTest, ThatTheServerDidNotTakeAreForgotten) {
  const Attributes seen = file(1, 10s, 5s);
  read(seen);
  clock_.advance(1s);
  take_due();
  times_.answered(false);
  EXPECT_TRUE(times_.settled().empty());
  times_.drop_settled();
  EXPECT_EQ(shown(seen), seen.atime);
  EXPECT_NE(read(seen), Noted::no) << "and count again";
}

TEST_F(AccessTimesTest, ThatSomebodyElseHasSetStand) {
  const Attributes seen = file(1, 10s, 5s);
  read(seen);
  Attributes set_elsewhere = seen;
  set_elsewhere.atime = seen.atime - 77;
  EXPECT_EQ(shown(set_elsewhere), set_elsewhere.atime);
  // Read again by somebody who saw that: now this is what is replaced.
  ASSERT_NE(read(set_elsewhere), Noted::no);
  EXPECT_EQ(times_.take()->times[0].seen, set_elsewhere.atime);
}

TEST_F(AccessTimesTest, ThatAreSetHereAreNotMovedByWhatWasReadBefore) {
  const Attributes seen = file(1, 10s, 5s);
  read(seen);
  times_.forget(seen.inode);
  EXPECT_EQ(shown(seen), seen.atime);
  EXPECT_FALSE(times_.take());
  read(seen);
  clock_.advance(1s);
  ASSERT_TRUE(take_due());
  times_.forget(seen.inode);
  EXPECT_EQ(shown(seen), seen.atime) << "though a message is on its way, ahead of what sets it";
}

TEST_F(AccessTimesTest, MovedAgainWhileOnTheirWayFollowEachOther) {
  Attributes told = file(1, 10s, 5s);
  read(told);
  const WallNanos first = shown(told);
  clock_.advance(1s);
  ASSERT_TRUE(take_due());
  told.mtime = told.ctime = clock_.wall();
  clock_.advance(1s);
  ASSERT_NE(read(told), Noted::no) << "written in between";
  const WallNanos second = clock_.wall();
  EXPECT_EQ(shown(told), second);
  Attributes told_later = told;
  told_later.atime = first;
  EXPECT_EQ(shown(told_later), second);
  settle();
  clock_.advance(1s);
  const auto message = take_due();
  ASSERT_TRUE(message);
  EXPECT_EQ(message->times[0], (AccessTime{told.inode, first, second}));
}

TEST_F(AccessTimesTest, AreLaterThanTheChangeThatTheReaderSawWhateverTheClockSays) {
  const Attributes ahead = file(1, 10s, -5s);
  ASSERT_NE(read(ahead), Noted::no);
  EXPECT_EQ(shown(ahead), ahead.ctime + 1);
  EXPECT_EQ(read(ahead), Noted::no);
}

TEST_F(AccessTimesTest, AreDroppedWhenTooManyWait) {
  for (std::size_t i = 1; i <= AccessTimes::kWaitingMax; ++i)
    ASSERT_NE(read(file(i, 10s, 5s)), Noted::no);
  const Attributes one_more = file(AccessTimes::kWaitingMax + 1, 10s, 5s);
  EXPECT_EQ(read(one_more), Noted::no);
  EXPECT_EQ(shown(one_more), one_more.atime);
}

}  // namespace
}  // namespace dfs
