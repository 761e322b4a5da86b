// What of a batch is durable when: failures, syncs, power loss.
#include "tests/unit/server/meta/core/core_fixture.h"

namespace dfs {
namespace {

using Commit = CoreTest;

TEST_F(Commit, OneFrameOfRequestsIsOneBatchAndOneMessageBack) {
  Client client = connect();
  const int appends = log->appends;
  const int messages = client.sink->messages();
  submit(client, {request(client, CreateArgs{.parent = kRootInode, .name = "a"}),
                  request(client, CreateArgs{.parent = kRootInode, .name = "b"}),
                  request(client, LookupArgs{kRootInode, "a"})});
  EXPECT_EQ(log->appends, appends + 1);
  EXPECT_EQ(client.sink->messages(), messages + 1);
}

TEST_F(Commit, ReadsAppendNothing) {
  Client client = connect();
  const int appends = log->appends;
  EXPECT_EQ(stat(client, kRootInode), Errc::ok);
  EXPECT_EQ(look(client, "a"), Errc::not_found);
  EXPECT_EQ(log->appends, appends);
}

TEST_F(Commit, ABatchThatIsRefusedLeavesNothing) {
  Client client = connect();
  make_file(client, "before");
  const auto count = [&] { return get<StatFsResult>(client, StatFsArgs{}).inodes_used; };
  const auto inodes = count();

  log->refuse_next(Errc::no_space);
  const CoreRequest a = request(client, CreateArgs{.parent = kRootInode, .name = "a", .open = true});
  const CoreRequest b = request(client, UnlinkArgs{kRootInode, "before"});
  const CoreRequest c = request(client, CreateArgs{.parent = kRootInode, .name = "c"});
  submit(client, {a, b, c});
  EXPECT_EQ(error_of(client.sink->wait_for(a.id)), Errc::no_space);
  EXPECT_EQ(error_of(client.sink->wait_for(b.id)), Errc::no_space);

  EXPECT_EQ(look(client, "a"), Errc::not_found);
  EXPECT_EQ(look(client, "before"), Errc::ok);
  EXPECT_EQ(count(), inodes);
  const auto status = get<ClusterStatusResult>(client, ClusterStatusArgs{});
  EXPECT_EQ(status.sessions.front().open_inodes, 0u) << "nor is it held";

  // Neither is a stored answer: the same requests now happen.
  EXPECT_TRUE(send(client, a));
  EXPECT_TRUE(send(client, b));
  EXPECT_EQ(look(client, "before"), Errc::not_found);
}

TEST_F(Commit, ReadsBesideARefusedMutationAreAnsweredAnew) {
  Client client = connect();
  make_file(client, "there");
  log->refuse_next(Errc::no_space);
  const CoreRequest create = request(client, CreateArgs{.parent = kRootInode, .name = "a"});
  const CoreRequest sees = request(client, LookupArgs{kRootInode, "a"});
  const CoreRequest reads = request(client, LookupArgs{kRootInode, "there"});
  submit(client, {create, sees, reads});
  EXPECT_EQ(error_of(client.sink->wait_for(create.id)), Errc::no_space);
  EXPECT_EQ(error_of(client.sink->wait_for(sees.id)), Errc::not_found)
      << "it must not have seen what did not happen";
  EXPECT_EQ(error_of(client.sink->wait_for(reads.id)), Errc::ok);
}

TEST_F(Commit, AnInodeOfARefusedBatchIsNotGivenAgain) {
  Client client = connect();
  const InodeId before = make_file(client, "before").inode;
  log->refuse_next(Errc::io);
  EXPECT_EQ(error_of(call(client, CreateArgs{.parent = kRootInode, .name = "a"})), Errc::io);
  EXPECT_GT(make_file(client, "b").inode.value(), before.value() + 1);
}

TEST_F(Commit, AnAnswerWithSyncWaitsForTheSyncAndOthersDoNot) {
  Client client = connect();
  add_server(1);
  const InodeId inode = make_file(client, "a").inode;
  log->shut();
  CommitArgs args;
  args.files = {{.inode = inode, .extents = {}, .holes = {}, .size_at_least = 10}};
  args.sync = true;
  const CoreRequest synced = request(client, args);
  const CoreRequest plain = request(client, LookupArgs{kRootInode, "a"});
  submit(client, {synced, plain});
  EXPECT_TRUE(client.sink->wait_for(plain.id));
  log->wait_for_syncs_begun(1);
  EXPECT_FALSE(client.sink->has(synced.id));
  EXPECT_EQ(get<AttributesResult>(client, GetAttrArgs{inode}).attributes.size, 10u)
      << "the core goes on meanwhile";

  log->open();
  EXPECT_TRUE(client.sink->wait_for(synced.id));
}

TEST_F(Commit, OneSyncServesAllThatWait) {
  Client client = connect();
  log->shut();
  const CoreRequest first = request(client, SyncArgs{});
  submit(client, {first});
  log->wait_for_syncs_begun(1);
  std::vector<CoreRequest> others;
  for (int i = 0; i < 10; ++i) others.push_back(request(client, SyncArgs{}));
  for (const CoreRequest& other : others) submit(client, {other});
  log->open();
  for (const CoreRequest& other : others) EXPECT_TRUE(client.sink->wait_for(other.id));
  EXPECT_EQ(log->syncs_begun(), 2) << "one for the first, one for all that came during it";
}

TEST_F(Commit, AFailedSyncIsToldToWhoeverAskedForIt) {
  Client client = connect();
  make_file(client, "a");
  store.fail_writes(Errc::io);
  EXPECT_EQ(error_of(call(client, SyncArgs{})), Errc::io);
  EXPECT_EQ(error_of(call(client, SyncArgs{})), Errc::ok);
}

TEST_F(Commit, ARepeatedSyncWaitsForASyncAgain) {
  Client client = connect();
  const InodeId inode = make_file(client, "a").inode;
  CommitArgs args;
  args.files = {{.inode = inode, .extents = {}, .holes = {}, .size_at_least = 10}};
  args.sync = true;
  const CoreRequest commit = request(client, args);
  ASSERT_TRUE(send(client, commit));
  const int before = log->syncs_begun();
  reconnect(client);
  ASSERT_TRUE(send(client, commit));
  EXPECT_GT(log->syncs_begun(), before);
}

// Starts a core on what the store has when the power fails under this one.
TEST_F(Commit, PowerLossTakesOnlyATailAndNothingThatWasSynced) {
  Client client = connect();
  for (int i = 0; i < 3; ++i) make_file(client, "synced" + std::to_string(i));
  ASSERT_TRUE(call(client, SyncArgs{}));
  for (int i = 0; i < 3; ++i) make_file(client, "late" + std::to_string(i));

  store.lose_power();
  KvBatch left;
  const auto cursor = store.cursor();
  for (cursor->seek(""); cursor->valid(); cursor->next())
    left.put(std::string(cursor->key()), std::string(cursor->value()));
  MemoryKvStore after;
  ASSERT_TRUE(after.write(left, KvDurability::stable));
  GatedLog log_after(after);
  auto core_after = Core::start(config, clock, after, log_after, Core::Helper::none);
  ASSERT_TRUE(core_after);

  std::swap(core, *core_after);
  reconnect(client);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(look(client, "synced" + std::to_string(i)), Errc::ok);
  bool lost = false;
  for (int i = 0; i < 3; ++i) {
    const bool there = look(client, "late" + std::to_string(i)) == Errc::ok;
    EXPECT_FALSE(there && lost) << "one is there although an earlier one is not";
    lost |= !there;
  }
  EXPECT_TRUE(lost) << "the test's power loss took nothing";
  std::swap(core, *core_after);
}

}  // namespace
}  // namespace dfs
