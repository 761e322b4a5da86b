// Which copies are made, and when chunks are deleted, against a whole core.
#include "tests/unit/server/meta/repair/repair_fixture.h"

namespace dfs {
namespace {

using namespace std::chrono_literals;

const ServerId kOne{1}, kTwo{2}, kThree{3};

using Copies = RepairTest;
using Lists = RepairTest;
using Reclaiming = RepairTest;
using Moving = RepairTest;

TEST_F(Copies, AreAskedForUntilTheyAreMade) {
  begin(3, 3);
  const ChunkId chunk = write("a", {kTwo});
  EXPECT_TRUE(ask(1).to_copy.empty());
  EXPECT_EQ(chunks_of(ask(2).to_copy), std::vector{chunk});
  EXPECT_EQ(chunks_of(ask(2).to_copy), std::vector{chunk}) << "an answer may get lost";
  EXPECT_EQ(status().repair_queue, 1u);
  EXPECT_EQ(status().repair.missing_bytes, 1000u);
  copied(2, ask(2).to_copy);
  EXPECT_TRUE(ask(2).to_copy.empty());
  EXPECT_EQ(status().repair_queue, 0u);
  EXPECT_EQ(status().repair.copied_chunks, 1u);
}

TEST_F(Copies, SurviveARestart) {
  begin(3, 3);
  const ChunkId chunk = write("a", {kTwo});
  restart();
  reconnect(client);
  EXPECT_EQ(chunks_of(ask(2).to_copy), std::vector{chunk});
  EXPECT_EQ(status().repair.missing_bytes, 1000u);
}

TEST_F(Copies, OfTheMostEndangeredChunkComeFirst) {
  begin(3, 3);
  std::vector<ChunkId> one_lacks, two_lack;
  for (int i = 0; i < 30; ++i) {
    const ChunkId chunk = write("f" + std::to_string(i), i % 10 == 9
                                                             ? std::vector{kTwo, kThree}
                                                             : std::vector{kTwo});
    (i % 10 == 9 ? two_lack : one_lacks).push_back(chunk);
  }
  const std::vector<ChunkId> order = chunks_of(ask(2).to_copy);
  ASSERT_EQ(order.size(), 30u);
  std::map<GroupId, bool> safe_seen;
  for (const ChunkId chunk : order) {
    const bool endangered = std::find(two_lack.begin(), two_lack.end(), chunk) != two_lack.end();
    if (endangered) {
      EXPECT_FALSE(safe_seen[chunk.group()]) << to_string(chunk);
    } else {
      safe_seen[chunk.group()] = true;
    }
  }
}

TEST_F(Copies, ThatFailWaitAndDoNotKeepOthersBack) {
  begin(3, 3);
  const ChunkId first = write("a", {kTwo});
  const ChunkId second = write("b", {kTwo});
  RepairArgs args = question(2);
  args.failed.push_back({first, false, "nobody answers"});
  EXPECT_EQ(chunks_of(ask(std::move(args))->to_copy), std::vector{second});
  EXPECT_EQ(status().repair.lost_chunks, 0u);
  clock.advance(10s);
  EXPECT_EQ(ask(2).to_copy.size(), 2u);
}

TEST_F(Copies, ThatAreNowhereAreNamedUntilOneIsFound) {
  begin(3, 3);
  const ChunkId chunk = write("a", {kTwo});
  RepairArgs args = question(2);
  args.failed.push_back({chunk, true, "nobody has it"});
  ask(std::move(args)).value();
  EXPECT_EQ(status().repair.lost, std::vector{chunk});
  EXPECT_EQ(status().repair.notes.size(), 2u) << "it waits, and it is lost";
  clock.advance(10s);
  copied(2, ask(2).to_copy);
  EXPECT_EQ(status().repair.lost_chunks, 0u);
}

TEST_F(Copies, OfChunksThatNobodyUsesAnyMoreAreNotMade) {
  begin(3, 3);
  const ChunkId chunk = write("a", {kTwo});
  RepairArgs args = question(2);
  args.failed.push_back({chunk, true, "nobody has it"});
  ask(std::move(args)).value();
  unlink(client, "a");
  EXPECT_TRUE(ask(2).to_copy.empty());
  EXPECT_TRUE(status().repair.notes.empty());
  EXPECT_EQ(status().repair_queue, 0u);
}

TEST_F(Copies, AreMadeWhereAClientFoundNone) {
  begin(3, 3);
  const ChunkId chunk = write("a");
  call(client, ReportArgs{chunk, kThree, {Errc::corrupt, "wrong"}}).value();
  EXPECT_EQ(chunks_of(ask(3).to_copy), std::vector{chunk});
  call(client, ReportArgs{chunk, ServerId{9}, {Errc::corrupt, "wrong"}}).value();
  EXPECT_EQ(status().repair_queue, 1u) << "a stranger has nothing to repair";
}

TEST_F(Copies, ABatchThatIsRefusedMakesNothingForgotten) {
  begin(3, 3);
  const ChunkId chunk = write("a", {kTwo});
  RepairArgs args = question(2);
  args.copied = {chunk};
  log->refuse_next(Errc::no_space);
  EXPECT_FALSE(ask(std::move(args)));
  EXPECT_EQ(chunks_of(ask(2).to_copy), std::vector{chunk});
}

TEST_F(Lists, FindWhatAServerLacks) {
  begin(3, 3);
  std::set<ChunkId> all;
  for (int i = 0; i < 40; ++i) all.insert(write("f" + std::to_string(i)));
  std::set<ChunkId> some = all;
  some.erase(*std::next(all.begin(), 7));
  some.erase(*all.rbegin());
  compare(1, all);
  EXPECT_EQ(status().repair_queue, 0u);
  compare(2, some);
  EXPECT_EQ(status().repair_queue, 2u);
  EXPECT_EQ(chunks_of(ask(2).to_copy).size(), 2u);
}

TEST_F(Lists, OfManyChunksComeInParts) {
  begin(1, 1);
  const InodeId inode = make_file(client, "a").inode;
  constexpr std::uint32_t kChunks = 4'000;
  std::set<ChunkId> all;
  CommitFile file{.inode = inode, .extents = {}, .holes = {}};
  for (const ChunkRange& range :
       get<AllocateResult>(client, AllocateArgs{.inode = inode, .count = kChunks}).ranges)
    for (std::uint32_t i = 0; i < range.count; ++i) {
      const ChunkId chunk{range.first.value() + i};
      file.extents.push_back({.file_offset = all.size() * 4096, .length = 4096, .chunk = chunk});
      all.insert(chunk);
    }
  get<CommitResult>(client, CommitArgs{.files = {file}});
  compare(1, all);
  EXPECT_EQ(status().repair_queue, 0u);
  register_server(fresh_server(1)).value();
  compare(1, {});
  EXPECT_EQ(status().repair_queue, kChunks) << "of a server that has nothing";
}

TEST_F(Lists, AreComparedAgainWhenAServerHasComeBack) {
  begin(3, 3);
  const ChunkId chunk = write("a");
  compare(2, {chunk});
  EXPECT_FALSE(ask(2).list_groups);
  register_server(fresh_server(2)).value();
  EXPECT_TRUE(ask(2).list_groups);
  compare(2, {});
  EXPECT_EQ(status().repair_queue, 1u);
}

TEST_F(Lists, AreComparedFromTheStartWhenTheirFindingsWereNotKept) {
  begin(1, 1);
  write("a");
  RepairArgs args = question(1);
  ASSERT_TRUE(ask(1).list_groups);
  args.groups.emplace();
  const RepairResult told = ask(std::move(args)).value();
  ASSERT_TRUE(told.list);
  args = question(1);
  args.listed = list({}, {told.list->first, told.list->chunks_max, true});
  log->refuse_next(Errc::no_space);
  EXPECT_FALSE(ask(args));
  EXPECT_EQ(status().repair_queue, 0u);
  compare(1, {});
  EXPECT_EQ(status().repair_queue, 1u);
}

TEST_F(Reclaiming, LeavesAYoungChunkAloneThatNoFileNames) {
  begin(2, 2);
  const ChunkId chunk = allocate_one();
  tick();
  EXPECT_TRUE(compare(1, {chunk}).to_delete.empty());
  EXPECT_EQ(status().garbage_chunks, 0u);
  commit(make_file(client, "late").inode, chunk);
}

TEST_F(Reclaiming, TakesAChunkThatNoFileNamesForTooLongAndNoCommitBringsItBack) {
  begin(2, 2);
  const ChunkId kept = write("kept");
  const ChunkId chunk = allocate_one();
  tick();
  pass(config.late_commit_max + 1s, {1, 2});
  pass(config.late_commit_max + 1s, {1, 2});
  const ChunkId young = allocate_one();
  compare(1, {kept, chunk, young});
  EXPECT_EQ(status().garbage_chunks, 1u);
  EXPECT_EQ(heartbeat(1)->to_delete, std::vector{chunk});
  EXPECT_EQ(heartbeat(2)->to_delete, std::vector{chunk}) << "whoever has it";
  heartbeat(1, {chunk});
  heartbeat(2, {chunk});
  EXPECT_EQ(status().garbage_chunks, 0u);

  const InodeId inode = make_file(client, "too late").inode;
  CommitArgs late;
  late.files = {{.inode = inode, .extents = {{.file_offset = 0, .length = 1, .chunk = chunk}}, .holes = {}}};
  EXPECT_EQ(error_of(call(client, late)), Errc::io);
  restart();
  reconnect(client);
  EXPECT_EQ(error_of(call(client, late)), Errc::io) << "after a restart neither";
  commit(inode, young);
}

TEST_F(Reclaiming, GivesIdsOutThatExpireBeforeTheyAreGivenUp) {
  begin(1, 1);
  const auto range = get<AllocateResult>(client, AllocateArgs{.inode = kRootInode}).ranges.front();
  EXPECT_GT(range.expires, clock.wall());
  EXPECT_LT(range.expires - clock.wall(), std::chrono::nanoseconds(config.late_commit_max).count());
}

TEST_F(Moving, BeginsWhenAServerIsOutAndNotBefore) {
  begin(4, 3);
  const ChunkId chunk = write("a");
  const int dead = static_cast<int>(servers_of(chunk.group())[0].value());
  std::vector<int> alive;
  for (int server = 1; server <= 4; ++server)
    if (server != dead) alive.push_back(server);
  pass(config.server_out_after - 1s, alive);
  EXPECT_TRUE(has_state(chunk.group(), dead, MemberState::active));
  pass(5s, alive);
  EXPECT_TRUE(has_state(chunk.group(), dead, MemberState::leaving));
  EXPECT_EQ(members(chunk.group()).size(), 4u);
  EXPECT_GT(status().repair.moving, 0u);
}

// What the four servers have; whoever is asked to copy does.
class World {
 public:
  std::map<int, std::set<ChunkId>> has;
};

TEST_F(Moving, FillsTheNewMemberBeforeItDropsTheOldOne) {
  begin(4, 3);
  World world;
  for (int i = 0; i < 20; ++i) {
    const ChunkId chunk = write("f" + std::to_string(i));
    for (const ServerId server : servers_of(chunk.group()))
      world.has[static_cast<int>(server.value())].insert(chunk);
  }
  for (int server = 1; server <= 4; ++server) compare(server, world.has[server]);
  pass(config.server_out_after + 1s, {2, 3, 4});
  for (int round = 0; round < 20 && status().repair.moving > 0; ++round) {
    for (const int server : {2, 3, 4}) {
      const RepairResult told = compare(server, world.has[server]);
      EXPECT_TRUE(told.to_drop.empty());
      if (status().repair.moving > 0 && !told.to_copy.empty()) {
        bool leaving = false;
        for (const auto& [id, group] : status().group_table.groups)
          for (const GroupMember& member : group.members)
            leaving = leaving || (member.server == kOne && member.state == MemberState::leaving);
        EXPECT_TRUE(leaving) << "the old member stays until the new one is full";
      }
      for (const CopyTask& task : told.to_copy) world.has[server].insert(task.chunk);
      copied(server, told.to_copy);
    }
    pass(2s, {2, 3, 4});
  }
  EXPECT_EQ(status().repair.moving, 0u);
  EXPECT_EQ(status().repair_queue, 0u);
  for (const auto& [id, group] : status().group_table.groups) {
    EXPECT_EQ(group.members.size(), 3u);
    for (const GroupMember& member : group.members) {
      EXPECT_NE(member.server, kOne);
      EXPECT_EQ(member.state, MemberState::active);
    }
  }

  // It comes back: all that it has is elsewhere.
  register_server(fresh_server(1)).value();
  const RepairResult told = compare(1, world.has[1]);
  EXPECT_EQ(std::set<ChunkId>(told.to_drop.begin(), told.to_drop.end()), world.has[1]);
}

TEST_F(Moving, KeepsAStrangersCopyWhileAMemberLacksIt) {
  begin(4, 3);
  const ChunkId chunk = write("a");
  const auto servers = servers_of(chunk.group());
  int stranger = 0;
  for (int server = 1; server <= 4; ++server)
    if (std::find(servers.begin(), servers.end(), ServerId(static_cast<std::uint32_t>(server))) ==
        servers.end())
      stranger = server;
  const int member = static_cast<int>(servers[0].value());
  compare(member, {});
  EXPECT_TRUE(compare(stranger, {chunk}).to_drop.empty());
  const auto tasks = ask(member).to_copy;
  ASSERT_EQ(tasks.size(), 1u);
  EXPECT_EQ(tasks[0].sources, std::vector{ServerId(static_cast<std::uint32_t>(stranger))})
      << "it may have the last one";
  copied(member, tasks);
  register_server(fresh_server(stranger)).value();
  EXPECT_EQ(compare(stranger, {chunk}).to_drop, std::vector{chunk});
}

TEST_F(Moving, AsksForWhatWasUploadedBeforeTheNewMemberWasKnown) {
  begin(4, 3);
  const ChunkId early = write("a");
  const GroupId group = early.group();
  const int dead = static_cast<int>(servers_of(group)[0].value());
  std::vector<int> alive;
  for (int server = 1; server <= 4; ++server)
    if (server != dead) alive.push_back(server);
  ChunkId uploaded;
  while (uploaded.group() != group) uploaded = allocate_one();
  pass(config.server_out_after + 1s, alive);
  const auto all = members(group);
  const int joining = static_cast<int>(all.back().server.value());
  ASSERT_EQ(all.back().state, MemberState::joining);
  compare(joining, {early});
  EXPECT_TRUE(ask(joining).to_copy.empty());
  commit(make_file(client, "b").inode, uploaded);
  EXPECT_EQ(chunks_of(ask(joining).to_copy), std::vector{uploaded});
}

TEST_F(Moving, GoesOnAfterARestart) {
  begin(4, 3);
  const ChunkId chunk = write("a");
  pass(config.server_out_after + 1s, {2, 3, 4});
  restart();
  reconnect(client);
  std::map<int, std::set<ChunkId>> has;
  for (const auto& member : members(chunk.group()))
    if (member.state != MemberState::joining) has[static_cast<int>(member.server.value())] = {chunk};
  for (int round = 0; round < 10; ++round) {
    for (const int server : {2, 3, 4}) {
      const RepairResult told = compare(server, has[server]);
      for (const CopyTask& task : told.to_copy) has[server].insert(task.chunk);
      copied(server, told.to_copy);
    }
    pass(2s, {2, 3, 4});
  }
  for (const auto& [id, group] : status().group_table.groups) {
    EXPECT_EQ(group.members.size(), 3u);
    for (const GroupMember& member : group.members) EXPECT_NE(member.server, kOne);
  }
}

TEST_F(Moving, DrainsAServerThatIsAliveAndReadsFromItMeanwhile) {
  begin(4, 3);
  const ChunkId chunk = write("a");
  const int drained = static_cast<int>(servers_of(chunk.group())[0].value());
  get<EmptyResult>(client, DrainServerArgs{ServerId(static_cast<std::uint32_t>(drained))});
  restart();
  reconnect(client);
  pass(2s, {1, 2, 3, 4});
  EXPECT_TRUE(has_state(chunk.group(), drained, MemberState::leaving));
  std::map<int, std::set<ChunkId>> has;
  for (const auto& member : members(chunk.group()))
    if (member.state != MemberState::joining) has[static_cast<int>(member.server.value())] = {chunk};
  for (int round = 0; round < 10; ++round) {
    for (const int server : {1, 2, 3, 4}) {
      const RepairResult told = compare(server, has[server]);
      for (const CopyTask& task : told.to_copy) has[server].insert(task.chunk);
      copied(server, told.to_copy);
    }
    pass(2s, {1, 2, 3, 4});
  }
  const auto servers = status().repair.servers;
  EXPECT_EQ(servers[static_cast<std::size_t>(drained - 1)].state, "drained");
  CoreRequest stranger = request(client, DrainServerArgs{ServerId{1}});
  stranger.caller.uid = 1000;
  EXPECT_EQ(error_of(send(client, std::move(stranger))), Errc::not_permitted);
  EXPECT_EQ(error_of(call(client, DrainServerArgs{ServerId{99}})), Errc::not_found);
}

TEST_F(Moving, SaysWhenNobodyCanTakeThePlace) {
  begin(3, 3);
  write("a");
  pass(config.server_out_after + 1s, {2, 3});
  EXPECT_EQ(status().repair.moving, 0u);
  ASSERT_FALSE(status().repair.notes.empty());
  EXPECT_EQ(status().repair.notes[0],
            "no storage server can take the place of 1 in 3 groups: each one that is alive and not "
            "drained is a member already or has too little space");
  EXPECT_EQ(status().repair.servers[0].state, "out");
}

TEST_F(Moving, LeavesAGroupAloneOfWhichNobodyIsAlive) {
  begin(3, 1);
  const ChunkId chunk = write("a");
  const int only = static_cast<int>(servers_of(chunk.group())[0].value());
  std::vector<int> alive;
  for (int server = 1; server <= 3; ++server)
    if (server != only) alive.push_back(server);
  pass(config.server_out_after + 1s, alive);
  EXPECT_EQ(servers_of(chunk.group()), std::vector{ServerId(static_cast<std::uint32_t>(only))});
  ASSERT_FALSE(status().repair.notes.empty());
  EXPECT_NE(status().repair.notes[0].find("no other member is alive"), std::string::npos);
}

}  // namespace
}  // namespace dfs
