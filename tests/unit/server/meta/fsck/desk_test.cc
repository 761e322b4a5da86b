// Checks and repairs of a file system that is in use.
#include "server/meta/fsck/core_mender.h"
#include "server/meta/fsck/desk.h"
#include "tests/unit/server/meta/fsck/fsck_fixture.h"

namespace dfs::fsck {
namespace {

class DeskTest : public FsckTest {
 protected:
  // The core's cache must not know the row: nobody damages what it has read.
  void begin_damaged() {
    stop();
    damage<tables::Inodes>(file, [](auto& record) { record.nlink = 5; });
    start();
    client = connect();
    mender = std::make_unique<CoreMender>(*core);
  }
  Desk::Part all(Desk& desk, std::uint64_t run) {
    Desk::Part sum;
    while (true) {
      Desk::Part part = desk.next(run).value();
      for (Report& report : part.reports) sum.reports.push_back(std::move(report));
      for (Use& use : part.uses) sum.uses.push_back(std::move(use));
      if (!part.done) continue;
      sum.summary = part.summary;
      return sum;
    }
  }

  std::unique_ptr<CoreMender> mender;
};

TEST_F(DeskTest, TellsWhatIsFoundAndLeavesIt) {
  begin_damaged();
  Desk desk(store, *mender, clock, {});
  const Desk::Part part = all(desk, desk.begin_check(Desk::Mode::look).value());
  ASSERT_EQ(part.reports.size(), 1U);
  EXPECT_EQ(part.reports[0].text, "/link counts 5 links, but has 2");
  EXPECT_TRUE(part.reports[0].mendable);
  EXPECT_EQ(part.summary.left, 1U);
  EXPECT_EQ(row<tables::Inodes>(file).nlink, 5U);
}

TEST_F(DeskTest, RepairsThroughTheCoreAndAsksBackWhatSessionsWereTold) {
  begin_damaged();
  Desk desk(store, *mender, clock, {});
  const Desk::Part part = all(desk, desk.begin_check(Desk::Mode::repair).value());
  EXPECT_EQ(part.summary.mended, 1U);
  EXPECT_EQ(part.summary.left, 0U);
  EXPECT_EQ(row<tables::Inodes>(file).nlink, 2U);
  EXPECT_EQ(get<AttributesResult>(client, GetAttrArgs{file}).attributes.nlink, 2U) << "the core knows it";
}

TEST_F(DeskTest, SaysThatARepairWasNotWritten) {
  begin_damaged();
  log->refuse_next(Errc::no_space);
  Desk desk(store, *mender, clock, {});
  const Desk::Part part = all(desk, desk.begin_check(Desk::Mode::repair).value());
  ASSERT_EQ(part.reports.size(), 1U);
  EXPECT_THAT(part.reports[0].not_mended, testing::HasSubstr("refused by the test"));
  EXPECT_EQ(get<AttributesResult>(client, GetAttrArgs{file}).attributes.nlink, 5U);
}

TEST_F(DeskTest, NamesTheFilesThatUseAChunk) {
  begin_damaged();
  Desk desk(store, *mender, clock, {});
  const Desk::Part part = all(desk, desk.begin_search({chunk, row<tables::Extents>({held, 0}).chunk}).value());
  ASSERT_EQ(part.uses.size(), 2U);
  EXPECT_EQ(part.uses[0].path, "/link");
  EXPECT_EQ(part.uses[0].chunk, chunk);
  EXPECT_EQ(part.uses[0].length, 1000U);
  EXPECT_EQ(part.uses[1].path, "inode " + std::to_string(held.value()) + " (no name)");
}

TEST_F(DeskTest, FindsAnotherNameOfAFileThatHasLostTheOneItKnows) {
  EXPECT_EQ(unlink(client, "link"), Errc::ok);
  begin_damaged();
  Desk desk(store, *mender, clock, {});
  const Desk::Part part = all(desk, desk.begin_search({chunk}).value());
  ASSERT_EQ(part.uses.size(), 1U);
  EXPECT_EQ(part.uses[0].path, "/dir/file");
}

TEST_F(DeskTest, RunsOneCheckAtATimeUntilNobodyAsks) {
  begin_damaged();
  Desk desk(store, *mender, clock, {.waiting_max = 0, .answer_within = std::chrono::milliseconds{1}});
  const std::uint64_t first = desk.begin_check(Desk::Mode::look).value();  // waits: nobody takes anything
  EXPECT_EQ(desk.begin_check(Desk::Mode::look).error().code, Errc::busy);
  clock.advance(std::chrono::minutes{1});
  const std::uint64_t second = desk.begin_check(Desk::Mode::look).value();
  EXPECT_EQ(desk.next(first).error().code, Errc::not_found);
  desk.end(second);
  EXPECT_EQ(desk.next(second).error().code, Errc::not_found);
  desk.stop();
  EXPECT_EQ(desk.begin_check(Desk::Mode::look).error().code, Errc::unavailable);
}

}  // namespace
}  // namespace dfs::fsck
