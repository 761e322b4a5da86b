// What follows from how full servers are, and from disks that fail, against a whole core.
#include "tests/unit/server/meta/repair/repair_fixture.h"

namespace dfs {
namespace {

using namespace std::chrono_literals;

class UsageTest : public RepairTest {
 protected:
  void tell(int server, std::uint64_t available, std::vector<std::string> problems = {}) {
    HeartbeatArgs args;
    args.server = ServerId{static_cast<std::uint32_t>(server)};
    args.identity = "identity-" + std::to_string(server);
    args.capacity = 100 * GiB;
    args.available = available;
    args.problems = std::move(problems);
    heartbeat(args).value();
  }
  // Everybody has said how full it is, and a while is over.
  void settle(const std::map<int, std::uint64_t>& available) {
    for (int seconds = 0; seconds < 70; seconds += 5) {
      for (const auto& [server, bytes] : available) tell(server, bytes);
      tick();
      clock.advance(5s);
    }
    for (const auto& [server, bytes] : available) tell(server, bytes);
    tick();
  }
};

using FailedDisks = UsageTest;
using Balancing = UsageTest;

TEST_F(FailedDisks, AreNamedAndWhatWasOnThemIsLookedForAtOnce) {
  begin(3, 3);
  const ChunkId chunk = write("a");
  compare(2, {chunk});
  EXPECT_FALSE(ask(2).list_groups);
  tell(2, 40 * GiB, {"the disk of /b has failed"});
  EXPECT_EQ(status().repair.servers[1].problems, std::vector<std::string>{"the disk of /b has failed"});
  EXPECT_TRUE(ask(2).list_groups);
  compare(2, {});
  EXPECT_EQ(chunks_of(ask(2).to_copy), std::vector{chunk});
  tell(2, 40 * GiB, {"the disk of /b has failed"});
  pass(2s, {1, 3});
  EXPECT_EQ(status().repair.moving, 0u) << "it has other disks";
}

TEST_F(FailedDisks, MakeMembershipsMoveIfTheOthersHaveNoRoom) {
  begin(4, 3);
  const ChunkId chunk = write("a");
  const int failing = static_cast<int>(servers_of(chunk.group())[0].value());
  tell(failing, 0, {"the disk of /a has failed"});
  tick();
  clock.advance(1s);
  tick();
  EXPECT_TRUE(has_state(chunk.group(), failing, MemberState::leaving));
  EXPECT_EQ(members(chunk.group()).size(), 4u) << "what can still be read there is copied from there";
}


TEST_F(Balancing, MovesOneMembershipToANewServerAndEmptiesTheOldOne) {
  begin(3, 2);
  std::set<ChunkId> all;
  for (int i = 0; i < 30; ++i) all.insert(write("f" + std::to_string(i)));
  std::set<ChunkId> of_one;
  for (const ChunkId chunk : all)
    if (has_state(chunk.group(), 1, MemberState::active)) of_one.insert(chunk);
  compare(1, of_one);
  add_server(4);
  settle({{1, 40 * GiB}, {2, 50 * GiB}, {3, 50 * GiB}, {4, 100 * GiB}});
  ASSERT_EQ(status().repair.balancing, 1u);
  EXPECT_TRUE(status().repair.notes.empty());
  GroupId moved;
  for (const auto& [id, group] : status().group_table.groups)
    if (has_state(id, 4, MemberState::joining)) moved = id;
  EXPECT_TRUE(has_state(moved, 1, MemberState::leaving));

  std::set<ChunkId> of_four;
  for (int round = 0; round < 4; ++round) {
    const RepairResult told = compare(4, of_four);
    for (const CopyTask& task : told.to_copy) of_four.insert(task.chunk);
    copied(4, told.to_copy);
    for (int server = 1; server <= 4; ++server) heartbeat(server).value();
    tick();
    clock.advance(1s);
  }
  EXPECT_TRUE(has_state(moved, 4, MemberState::active));
  EXPECT_EQ(members(moved).size(), 2u);
  EXPECT_EQ(status().repair.balancing, 0u);

  for (int seconds = 0; seconds < 10; ++seconds) {
    clock.advance(1s);
    tick();
  }
  const std::vector<ChunkId> dropped = compare(1, of_one).to_drop;
  EXPECT_FALSE(dropped.empty());
  EXPECT_TRUE(std::ranges::all_of(dropped, [&](ChunkId chunk) { return chunk.group() == moved; }));
}

TEST_F(Balancing, WaitsWhileACopyIsMissingOrAServerIsAway) {
  begin(3, 2);
  write("a");
  add_server(4);
  const ChunkId chunk = write("b");
  call(client, ReportArgs{chunk, servers_of(chunk.group())[0], {Errc::corrupt, "wrong"}}).value();
  settle({{1, 40 * GiB}, {2, 50 * GiB}, {3, 50 * GiB}, {4, 100 * GiB}});
  EXPECT_EQ(status().repair.balancing, 0u);
  for (const int server : {1, 2, 3, 4}) copied(server, ask(server).to_copy);
  settle({{1, 40 * GiB}, {2, 50 * GiB}, {4, 100 * GiB}});
  EXPECT_EQ(status().repair.balancing, 0u) << "server 3 is silent";
}

TEST_F(Balancing, CanBeTurnedOff) {
  config.balance = false;
  begin(3, 2);
  add_server(4);
  settle({{1, 40 * GiB}, {2, 50 * GiB}, {3, 50 * GiB}, {4, 100 * GiB}});
  EXPECT_EQ(status().repair.balancing, 0u);
}

}  // namespace
}  // namespace dfs
