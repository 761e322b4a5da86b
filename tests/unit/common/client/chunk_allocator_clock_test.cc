// Chunk ids end in time by the steady clock, whatever calendars say.
#include <gtest/gtest.h>

#include "common/client/chunk_allocator.h"
#include "tests/support/fake_clock.h"

namespace dfs {
namespace {

using namespace std::chrono_literals;

// Hands out ids that end so long from now, by a calendar of its own.
class Allocating final : public MetaClient {
 public:
  explicit Allocating(const Clock& clock) : clock_(clock) {}

  Result<MetaResult> call(MetaArgs args, const Caller&, Interrupt*) override {
    ++calls;
    AllocateResult result;
    result.ranges.push_back({ChunkId{GroupId{1}, next_}, std::get<AllocateArgs>(args).count, "",
                             clock_.wall() + std::chrono::nanoseconds(ahead + lasts).count()});
    next_ += 1000;
    return result;
  }
  Result<void> call_later(MetaArgs, const Caller&, std::function<void(Result<MetaResult>)>) override {
    return fail(Errc::unsupported);
  }
  void post(MetaArgs) override {}
  GroupTablePtr group_table() const override { return std::make_shared<GroupTable>(); }
  std::uint32_t default_chunk_size() const override { return 1 << 20; }
  SessionId session() const override { return SessionId{1}; }

  std::chrono::seconds lasts = 30min;
  std::chrono::seconds ahead{0};  // of our clock
  int calls = 0;

 private:
  const Clock& clock_;
  std::uint64_t next_ = 1;
};

class AllocatorClockTest : public testing::Test {
 protected:
  bool take() { return allocator_.take({.inode = kRootInode, .avoid = {}}, nullptr).has_value(); }

  FakeClock clock_;
  Allocating meta_{clock_};
  ChunkAllocator allocator_{meta_, clock_};
};

TEST_F(AllocatorClockTest, UsesIdsUntilShortlyBeforeTheyEnd) {
  ASSERT_TRUE(take());
  clock_.advance(28min);
  ASSERT_TRUE(take());
  EXPECT_EQ(meta_.calls, 1);
  clock_.advance(2min);
  ASSERT_TRUE(take());
  EXPECT_EQ(meta_.calls, 2);
}

TEST_F(AllocatorClockTest, IsNotMisledByACalendarThatJumps) {
  ASSERT_TRUE(take());
  clock_.jump_wall(48h);
  ASSERT_TRUE(take());
  EXPECT_EQ(meta_.calls, 1);
  clock_.jump_wall(-96h);
  clock_.advance(30min);
  ASSERT_TRUE(take());
  EXPECT_EQ(meta_.calls, 2) << "ids that the server may have given up are used";
}

TEST_F(AllocatorClockTest, WritesOnWhereTheServersCalendarIsDaysBehind) {
  meta_.ahead = -48h;
  ASSERT_TRUE(take());
  clock_.advance(2min);
  ASSERT_TRUE(take());
  EXPECT_EQ(meta_.calls, 1);
}

TEST_F(AllocatorClockTest, KeepsNoIdForLongWhereTheServersCalendarIsDaysAhead) {
  meta_.ahead = 48h;
  ASSERT_TRUE(take());
  clock_.advance(1h);
  ASSERT_TRUE(take());
  EXPECT_EQ(meta_.calls, 2);
}

}  // namespace
}  // namespace dfs
