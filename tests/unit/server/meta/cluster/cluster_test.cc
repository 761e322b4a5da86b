// Storage servers, groups, allocation and garbage, against a whole core.
#include <set>

#include "tests/unit/server/meta/core/core_fixture.h"

namespace dfs {
namespace {

using namespace std::chrono_literals;

class ClusterTest : public CoreTest {
 protected:
  std::string cluster_id(Client& client) {
    return get<ClusterStatusResult>(client, ClusterStatusArgs{}).cluster;
  }
  Result<MetaResult> allocate(Client& client, std::uint32_t count,
                              std::vector<ServerId> avoid = {}) {
    return call(client,
                AllocateArgs{.inode = kRootInode, .count = count, .avoid = std::move(avoid)});
  }
  // All servers but `silent` say that they are there.
  void only_silent(int silent, int servers) {
    clock.advance(config.server_silence_max);
    for (int server = 1; server <= servers; ++server) {
      if (server == silent) continue;
      EXPECT_TRUE(heartbeat(server));
    }
    clock.advance(1s);
    tick();
  }
};
using Registration = ClusterTest;
using Liveness = ClusterTest;
using Allocation = ClusterTest;
using Garbage = ClusterTest;

TEST_F(Registration, GivesAFreshServerAnIdAndKeepsItForAReturn) {
  const auto first = register_server(fresh_server(1));
  ASSERT_TRUE(first);
  RegisterArgs again = fresh_server(1);
  again.cluster = first->cluster;
  again.server = first->server;
  again.address = "127.0.0.1:9999";
  restart();
  const auto second = register_server(again);
  ASSERT_TRUE(second) << second.error().to_string();
  EXPECT_EQ(second->server, first->server);
  EXPECT_EQ(second->group_table.servers.at(first->server).address, "127.0.0.1:9999");
}

TEST_F(Registration, GivesTheSameIdWhenTheFirstAnswerGotLost) {
  const auto first = register_server(fresh_server(1));
  const auto second = register_server(fresh_server(1));
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->server, second->server);
}

TEST_F(Registration, RefusesAServerOfAnotherCluster) {
  RegisterArgs args = fresh_server(1);
  args.cluster = "0123456789abcdef";
  const auto refused = register_server(args);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::wrong_cluster);
  EXPECT_NE(refused.error().text.find("0123456789abcdef"), std::string::npos);
}

TEST_F(Registration, RefusesAnIdWithAnotherIdentity) {
  const auto first = register_server(fresh_server(1));
  ASSERT_TRUE(first);
  RegisterArgs args = fresh_server(2);
  args.cluster = first->cluster;
  args.server = first->server;
  const auto refused = register_server(args);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::not_permitted);
}

TEST_F(Registration, RefusesAnIdThatWasNeverGiven) {
  RegisterArgs args = fresh_server(1);
  args.server = ServerId{7};
  const auto refused = register_server(args);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::wrong_cluster);
}

TEST_F(Registration, RefusesWhatHasNoIdentityOrNoAddress) {
  RegisterArgs args = fresh_server(1);
  args.identity.clear();
  EXPECT_EQ(register_server(args).error().code, Errc::invalid);
  args = fresh_server(1);
  args.address = "nonsense";
  EXPECT_EQ(register_server(args).error().code, Errc::invalid);
}

TEST_F(Registration, LeavesNothingWhenTheLogRefuses) {
  Client client = connect();
  log->refuse_next(Errc::no_space);
  EXPECT_EQ(register_server(fresh_server(1)).error().code, Errc::no_space);
  EXPECT_TRUE(get<ClusterStatusResult>(client, ClusterStatusArgs{}).group_table.servers.empty());
  EXPECT_TRUE(get<ClusterStatusResult>(client, ClusterStatusArgs{}).group_table.groups.empty());
  EXPECT_EQ(add_server(1), ServerId{1});
}

TEST_F(Registration, PushesTheNewGroupTableToSessions) {
  Client client = connect();
  add_server(1);
  ASSERT_NE(client.sink->table(), nullptr);
  EXPECT_EQ(client.sink->table()->servers.size(), 1u);
  EXPECT_GT(client.sink->table()->version, client.welcome.group_table->version);
}

TEST_F(Registration, GroupsAreMadeOnceThereAreEnoughServersAndNeverChange) {
  start_anew(3);
  add_server(1);
  add_server(2);
  const auto third = register_server(fresh_server(3));
  ASSERT_TRUE(third);
  EXPECT_EQ(third->group_table.groups.size(), 3u);
  const auto fourth = register_server(fresh_server(4));
  ASSERT_TRUE(fourth);
  EXPECT_GT(fourth->group_table.groups.size(), 3u);
  for (const auto& [id, group] : third->group_table.groups)
    EXPECT_EQ(fourth->group_table.groups.at(id).members, group.members);
}

TEST_F(Registration, TheGroupsAreTheSameAfterARestart) {
  start_anew(2);
  for (int server = 1; server <= 3; ++server) add_server(server);
  Client client = connect();
  restart();
  Client after = connect();
  const GroupTable& then = *client.welcome.group_table;
  const GroupTable& now = *after.welcome.group_table;
  ASSERT_EQ(now.groups.size(), then.groups.size());
  for (const auto& [id, group] : then.groups)
    EXPECT_EQ(now.groups.at(id).members, group.members);
}

TEST_F(Liveness, AServerThatDoesNotKnowUsIsToldToRegisterAgain) {
  const auto answer = heartbeat(1);
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->register_again);
}

TEST_F(Liveness, ADeadServerIsShownInANewerTableAndAHeartbeatBringsItBack) {
  add_server(1);
  Client client = connect();
  clock.advance(config.server_silence_max + 1s);
  tick();
  ASSERT_NE(client.sink->table(), nullptr);
  EXPECT_FALSE(client.sink->table()->servers.at(ServerId{1}).alive);
  ASSERT_TRUE(heartbeat(1));
  EXPECT_TRUE(client.sink->table()->servers.at(ServerId{1}).alive);
  EXPECT_GT(client.sink->table()->version, client.welcome.group_table->version + 1);
}

TEST_F(Liveness, DoesNotFollowTheCalendarOfTheMetadataServer) {
  add_server(1);
  Client client = connect();
  for (const auto jump : {240h, -480h}) {
    clock.jump_wall(jump);
    tick();
    EXPECT_TRUE(allocate(client, 1));
  }
  EXPECT_EQ(client.sink->table(), nullptr) << "nobody has died, so there is nothing to tell";
  clock.advance(config.server_silence_max + 1s);
  tick();
  ASSERT_NE(client.sink->table(), nullptr);
  EXPECT_FALSE(client.sink->table()->servers.at(ServerId{1}).alive);
}

TEST_F(Liveness, HeartbeatsBringTheTableOnlyWhenItIsNewer) {
  add_server(1);
  HeartbeatArgs args;
  args.server = ServerId{1};
  args.identity = "identity-1";
  const auto first = heartbeat(args);
  ASSERT_TRUE(first && first->group_table);
  args.group_table_version = first->group_table->version;
  EXPECT_FALSE(heartbeat(args)->group_table);
}

TEST_F(Liveness, NobodyIsDeadJustBecauseTheMetadataServerWasAway) {
  add_server(1);
  clock.advance(1h);
  restart();
  tick();
  Client client = connect();
  EXPECT_TRUE(client.welcome.group_table->servers.at(ServerId{1}).alive);
  EXPECT_TRUE(allocate(client, 1));
}

// Both were told that server 2 is dead, and nothing changes after the restart.
TEST_F(Liveness, WhoWasToldThatAServerIsDeadIsToldAfterARestartThatItIsNot) {
  add_server(1);
  add_server(2);
  Client client = connect();
  clock.advance(config.server_silence_max + 1s);
  ASSERT_TRUE(heartbeat(1));
  tick();
  HeartbeatArgs args;
  args.server = ServerId{1};
  args.identity = "identity-1";
  const auto told = heartbeat(args);
  ASSERT_TRUE(told && told->group_table);
  ASSERT_FALSE(told->group_table->servers.at(ServerId{2}).alive);
  args.group_table_version = told->group_table->version;
  restart();
  const auto after = heartbeat(args);
  ASSERT_TRUE(after && after->group_table);
  EXPECT_TRUE(after->group_table->servers.at(ServerId{2}).alive);
  EXPECT_GT(connect().welcome.group_table->version, client.sink->table()->version);
}

TEST_F(Liveness, VersionsOfTheTableThatPowerLossTakesAreNotGivenAgain) {
  add_server(1);
  Client client = connect();
  add_server(2);
  const std::uint64_t told = client.sink->table()->version;
  lose_power();
  EXPECT_GT(connect().welcome.group_table->version, told);
}

TEST_F(Allocation, SaysThatNoServerIsRegistered) {
  Client client = connect();
  const auto refused = allocate(client, 1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::unavailable);
  EXPECT_EQ(refused.error().text, "no storage server is registered");
}

TEST_F(Allocation, SaysHowManyServersAreMissing) {
  start_anew(3);
  add_server(1);
  add_server(2);
  Client client = connect();
  const auto refused = allocate(client, 1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::unavailable);
  EXPECT_EQ(refused.error().text,
            "3 copies of each chunk need 3 storage servers; 2 are registered, 2 of them alive");
}

TEST_F(Allocation, NeverGivesAChunkTwiceNotEvenAfterARestart) {
  for (int server = 1; server <= 3; ++server) add_server(server);
  Client client = connect();
  std::set<ChunkId> given;
  for (int round = 0; round < 6; ++round) {
    const auto result = allocate(client, 1000);
    ASSERT_TRUE(result);
    std::uint32_t count = 0;
    for (const ChunkRange& range : std::get<AllocateResult>(*result).ranges) {
      count += range.count;
      for (std::uint32_t i = 0; i < range.count; ++i)
        EXPECT_TRUE(given.insert(ChunkId{range.first.value() + i}).second);
      EXPECT_NE(range.first.serial(), 0u);
    }
    EXPECT_EQ(count, 1000u);
    if (round % 2 == 1) {
      restart();
      reconnect(client);
    }
  }
}

TEST_F(Allocation, ARefusedBatchTakesNoChunks) {
  add_server(1);
  Client client = connect();
  log->refuse_next(Errc::no_space);
  EXPECT_EQ(error_of(allocate(client, 10)), Errc::no_space);
  const auto result = allocate(client, 10);
  ASSERT_TRUE(result);
  EXPECT_EQ(std::get<AllocateResult>(*result).ranges.front().first.serial(), 1u);
}

TEST_F(Allocation, SpreadsOverSeveralGroups) {
  for (int server = 1; server <= 3; ++server) add_server(server);
  Client client = connect();
  const auto result = allocate(client, 4096);
  ASSERT_TRUE(result);
  EXPECT_EQ(std::get<AllocateResult>(*result).ranges.size(), 3u);
}

TEST_F(Allocation, AvoidsServersThatTheClientSawFail) {
  for (int server = 1; server <= 2; ++server) add_server(server);
  Client client = connect();
  for (int i = 0; i < 10; ++i) {
    const auto result = allocate(client, 1, {ServerId{1}});
    ASSERT_TRUE(result);
    EXPECT_EQ(std::get<AllocateResult>(*result).ranges.front().first.group(), GroupId{2});
  }
}

TEST_F(Allocation, GoesOnWithOneOfThreeServersDeadAndStopsWithTwo) {
  start_anew(3);
  for (int server = 1; server <= 3; ++server) add_server(server);
  Client client = connect();
  only_silent(1, 3);
  EXPECT_TRUE(allocate(client, 1));
  clock.advance(config.server_silence_max);
  ASSERT_TRUE(heartbeat(3));
  clock.advance(1s);
  tick();
  EXPECT_EQ(error_of(allocate(client, 1)), Errc::unavailable);
}

TEST_F(Allocation, SaysNoSpaceWhenAllServersAreFullAndGoesOnWhenOneIsNot) {
  add_server(1);
  Client client = connect();
  HeartbeatArgs full;
  full.server = ServerId{1};
  full.identity = "identity-1";
  full.capacity = 100 * GiB;
  full.available = 0;
  ASSERT_TRUE(heartbeat(full));
  EXPECT_EQ(error_of(allocate(client, 1)), Errc::no_space);
  ASSERT_TRUE(heartbeat(1));
  EXPECT_TRUE(allocate(client, 1));
}

TEST_F(Allocation, SaysNoSpaceWhenAGroupHasNoIdsLeft) {
  add_server(1);
  core.reset();
  GroupRecord record;
  record.pool = "replicated:1";
  record.members = {{ServerId{1}, MemberState::active}};
  record.replicas = 1;
  record.next_chunk = ChunkId::kSerialMax - 9;
  std::string key, value;
  raw_key<tables::Groups>(key, GroupId{1});
  encode(record, value);
  KvBatch batch;
  batch.put(key, value);
  ASSERT_TRUE(store.write(batch, KvDurability::stable));
  start();
  Client client = connect();
  EXPECT_EQ(error_of(allocate(client, 11)), Errc::no_space);
  EXPECT_TRUE(allocate(client, 10));
  EXPECT_EQ(error_of(allocate(client, 1)), Errc::no_space);
}

TEST_F(Allocation, MakesGroupsForADirectoryThatWantsMoreCopies) {
  for (int server = 1; server <= 3; ++server) add_server(server);
  Client client = connect();
  ASSERT_TRUE(call(client, SetPolicyArgs{.inode = kRootInode, .replicas = 2}));
  const auto result = allocate(client, 100);
  ASSERT_TRUE(result) << result.error().to_string();
  ASSERT_NE(client.sink->table(), nullptr);
  for (const ChunkRange& range : std::get<AllocateResult>(*result).ranges)
    EXPECT_EQ(client.sink->table()->groups.at(range.first.group()).members.size(), 2u);
}

TEST_F(Allocation, CountsSpaceWithItsCopies) {
  start_anew(3);
  for (int server = 1; server <= 3; ++server) add_server(server);
  Client client = connect();
  const auto space = get<StatFsResult>(client, StatFsArgs{});
  EXPECT_EQ(space.bytes_total, 100 * GiB);
  EXPECT_EQ(space.bytes_available, 50 * GiB);
  EXPECT_EQ(space.inodes_used, 1u);
}

TEST_F(Garbage, IsToldToEachMemberUntilAllHaveDeletedIt) {
  start_anew(2);
  add_server(1);
  add_server(2);
  Client client = connect();
  const InodeId inode = make_file(client, "a").inode;
  const ChunkId chunk = write_chunk(client, inode).chunk;
  EXPECT_TRUE(heartbeat(1)->to_delete.empty());
  unlink(client, "a");
  const auto garbage = [&] {
    return get<ClusterStatusResult>(client, ClusterStatusArgs{}).garbage_chunks;
  };
  EXPECT_EQ(garbage(), 1u);

  EXPECT_EQ(heartbeat(1)->to_delete, std::vector{chunk});
  EXPECT_EQ(heartbeat(1)->to_delete, std::vector{chunk}) << "until it says that it is gone";
  EXPECT_TRUE(heartbeat(1, {chunk})->to_delete.empty());
  EXPECT_EQ(garbage(), 1u);
  EXPECT_EQ(heartbeat(2)->to_delete, std::vector{chunk});
  EXPECT_TRUE(heartbeat(2, {chunk})->to_delete.empty());
  EXPECT_EQ(garbage(), 0u);
  std::string row;
  raw_key<tables::Garbage>(row, chunk);
  EXPECT_FALSE(store.get(row).value());
}

TEST_F(Garbage, SurvivesARestart) {
  add_server(1);
  Client client = connect();
  const InodeId inode = make_file(client, "a").inode;
  const ChunkId chunk = write_chunk(client, inode).chunk;
  unlink(client, "a");
  restart();
  EXPECT_EQ(heartbeat(1)->to_delete, std::vector{chunk});
}

TEST_F(Garbage, IsNothingThatAFileStillNamesWhoeverRestarts) {
  add_server(1);
  Client client = connect();
  const InodeId first = make_file(client, "first").inode;
  const InodeId second = make_file(client, "second").inode;
  const ChunkId chunk = write_chunk(client, first).chunk;
  get<CloneResult>(client, CloneArgs{.source = first, .inode = second, .length = 1000});
  const auto unlink_after_a_restart = [&](const std::string& name) {
    restart();
    reconnect(client);
    EXPECT_EQ(unlink(client, name), Errc::ok);
    clock.advance(config.restart_grace + config.orphan_grace);
    tick();
  };
  unlink_after_a_restart("first");
  EXPECT_TRUE(heartbeat(1)->to_delete.empty());
  unlink_after_a_restart("second");
  EXPECT_EQ(heartbeat(1)->to_delete, std::vector{chunk});
}

TEST_F(Garbage, ComesInBoundedBatches) {
  add_server(1);
  Client client = connect();
  const InodeId inode = make_file(client, "a").inode;
  constexpr std::uint32_t kChunks = kGarbageChunksMax + 500;
  const auto ranges =
      get<AllocateResult>(client, AllocateArgs{.inode = inode, .count = kChunks}).ranges;
  CommitFile file{.inode = inode, .extents = {}, .holes = {}};
  std::uint64_t offset = 0;
  for (const ChunkRange& range : ranges)
    for (std::uint32_t i = 0; i < range.count; ++i, offset += 4096)
      file.extents.push_back(
          {.file_offset = offset, .length = 4096, .chunk = ChunkId{range.first.value() + i}});
  get<CommitResult>(client, CommitArgs{.files = {file}});
  unlink(client, "a");
  tick();

  const auto first = heartbeat(1);
  EXPECT_EQ(first->to_delete.size(), kGarbageChunksMax);
  EXPECT_TRUE(first->more);
  const auto second = heartbeat(1, first->to_delete);
  EXPECT_EQ(second->to_delete.size(), 500u);
  EXPECT_FALSE(second->more);
  EXPECT_TRUE(heartbeat(1, second->to_delete)->to_delete.empty());
}

TEST_F(Garbage, AcknowledgementsOfAStrangerChangeNothing) {
  start_anew(2);
  for (int server = 1; server <= 3; ++server) add_server(server);
  Client client = connect();
  const InodeId inode = make_file(client, "a").inode;
  const ChunkId chunk = write_chunk(client, inode).chunk;
  unlink(client, "a");
  const auto members = client.welcome.group_table->groups.at(chunk.group()).members;
  for (int server = 1; server <= 3; ++server) {
    const ServerId id{static_cast<std::uint32_t>(server)};
    const bool member = members[0].server == id || members[1].server == id;
    if (!member) {
      EXPECT_TRUE(heartbeat(server, {chunk, ChunkId{12345}})->to_delete.empty());
    }
  }
  EXPECT_EQ(heartbeat(static_cast<int>(members[0].server.value()))->to_delete, std::vector{chunk});
}

}  // namespace
}  // namespace dfs
