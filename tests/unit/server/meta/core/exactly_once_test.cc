#include <set>

#include "tests/unit/server/meta/core/core_fixture.h"

namespace dfs {
namespace {

using ExactlyOnce = CoreTest;

TEST_F(ExactlyOnce, ARepeatedMutationGetsTheSameAnswerAndHappensOnce) {
  Client client = connect();
  const CoreRequest create =
      request(client, CreateArgs{.parent = kRootInode, .name = "a", .exclusive = true});
  const auto first = send(client, create);
  ASSERT_TRUE(first);
  const auto again = send(client, create);
  ASSERT_TRUE(again) << "without the stored answer this would say exists";
  EXPECT_EQ(std::get<EntryResult>(*first).attributes.inode,
            std::get<EntryResult>(*again).attributes.inode);
}

TEST_F(ExactlyOnce, ARepeatAfterARestartGetsTheStoredAnswer) {
  Client client = connect();
  make_file(client, "a");
  const CoreRequest rename = request(
      client, RenameArgs{.parent = kRootInode, .name = "a", .new_parent = kRootInode, .new_name = "b"});
  ASSERT_TRUE(send(client, rename));

  restart();
  reconnect(client);
  ASSERT_TRUE(client.welcome.resumed);
  EXPECT_TRUE(send(client, rename)) << "a repeated rename never says not_found";
  EXPECT_EQ(look(client, "b"), Errc::ok);
}

TEST_F(ExactlyOnce, ARepeatedCloneDoesNotTakeWhatTheSourceHasBecome) {
  add_server(1);
  Client client = connect();
  const InodeId source = make_file(client, "source").inode;
  const InodeId target = make_file(client, "target").inode;
  const Extent first = write_chunk(client, source);
  const CoreRequest clone = request(
      client, CloneArgs{.source = source, .source_offset = 0, .inode = target, .length = 1000});
  ASSERT_TRUE(send(client, clone));
  write_chunk(client, source);

  restart();
  reconnect(client);
  const auto again = send(client, clone);
  ASSERT_TRUE(again);
  EXPECT_EQ(std::get<CloneResult>(*again).length, 1000U);
  EXPECT_EQ(get<ExtentsResult>(client, GetExtentsArgs{.inode = target}).extents,
            std::vector<Extent>{first});
}

TEST_F(ExactlyOnce, ARepeatedHoleDoesNotTakeWhatWasWrittenSince) {
  add_server(1);
  Client client = connect();
  const InodeId inode = make_file(client, "a").inode;
  write_chunk(client, inode);
  CommitArgs punch;
  punch.files = {{.inode = inode, .extents = {}, .holes = {{0, 1000}}, .size_at_least = 1000}};
  const CoreRequest hole = request(client, punch);
  ASSERT_TRUE(send(client, hole));
  const Extent since = write_chunk(client, inode);

  restart();
  reconnect(client);
  ASSERT_TRUE(send(client, hole));
  EXPECT_EQ(get<ExtentsResult>(client, GetExtentsArgs{.inode = inode}).extents,
            std::vector<Extent>{since});
}

TEST_F(ExactlyOnce, ARepeatInTheSameBatchGetsTheSameAnswer) {
  Client client = connect();
  const CoreRequest create =
      request(client, CreateArgs{.parent = kRootInode, .name = "a", .exclusive = true});
  CoreRequest repeat = create;
  repeat.id = client.next_id++;
  submit(client, {create, repeat});
  EXPECT_TRUE(client.sink->wait_for(create.id));
  EXPECT_TRUE(client.sink->wait_for(repeat.id));
}

TEST_F(ExactlyOnce, AMutationThatFailedMayBeTriedAgain) {
  Client client = connect();
  const CoreRequest removal = request(client, UnlinkArgs{kRootInode, "a"});
  EXPECT_EQ(error_of(send(client, removal)), Errc::not_found);
  make_file(client, "a");
  EXPECT_EQ(error_of(send(client, removal)), Errc::ok);
}

TEST_F(ExactlyOnce, AMutationWithoutASequenceIsRefused) {
  Client client = connect();
  CoreRequest create = request(client, CreateArgs{.parent = kRootInode, .name = "a"});
  create.sequence = {};
  EXPECT_EQ(error_of(send(client, create)), Errc::bad_message);
  EXPECT_EQ(look(client, "a"), Errc::not_found);
}

TEST_F(ExactlyOnce, AcknowledgedRepliesAreErasedAndNotAnsweredAgain) {
  Client client = connect();
  CoreRequest create = request(client, CreateArgs{.parent = kRootInode, .name = "a"});
  ASSERT_TRUE(send(client, create));
  std::string row;
  raw_key<tables::Replies>(row, {client.welcome.session, create.sequence});
  ASSERT_TRUE(store.get(row).value());

  client.answered = create.sequence.value();
  make_file(client, "b");
  EXPECT_FALSE(store.get(row).value()) << "erased with the next batch";
  EXPECT_EQ(error_of(send(client, create)), Errc::bad_message);
}

TEST_F(ExactlyOnce, ASessionThatAcknowledgesNothingIsStoppedAtALimit) {
  Client client = connect();
  std::vector<CoreRequest> requests;
  for (std::size_t i = 0; i < kRepliesKeptMax; ++i)
    requests.push_back(request(client, SetAttrArgs{.inode = kRootInode, .mode = 0755}));
  submit(client, requests);
  EXPECT_EQ(error_of(call(client, SetAttrArgs{.inode = kRootInode, .mode = 0700})),
            Errc::overloaded);
  client.answered = kRepliesKeptMax;
  EXPECT_EQ(error_of(call(client, SetAttrArgs{.inode = kRootInode, .mode = 0700})), Errc::ok);
}

TEST_F(ExactlyOnce, RequestsOfAFormerStreamAreRefusedOnceTheSessionWentOn) {
  Client client = connect();
  Client former = client;
  reconnect(client);
  EXPECT_TRUE(former.sink->ended()) << "the former stream is told";
  EXPECT_EQ(error_of(call(former, CreateArgs{.parent = kRootInode, .name = "late"})),
            Errc::session_lost);
  EXPECT_EQ(look(client, "late"), Errc::not_found);
}

TEST_F(ExactlyOnce, ARepeatedOpenHoldsTheFileAgain) {
  Client client = connect();
  const CoreRequest create =
      request(client, CreateArgs{.parent = kRootInode, .name = "a", .open = true});
  const auto made = send(client, create);
  ASSERT_TRUE(made);
  const InodeId inode = std::get<OpenResult>(*made).attributes.inode;

  // The answer got lost: the session comes back without knowing the inode.
  reconnect(client);
  ASSERT_TRUE(send(client, create));
  EXPECT_EQ(unlink(client, "a"), Errc::ok);
  clock.advance(std::chrono::hours{1});
  tick();
  EXPECT_EQ(stat(client, inode), Errc::ok);
}

TEST_F(ExactlyOnce, IdsAreNotGivenTwiceAfterARestart) {
  Client client = connect();
  std::set<std::uint64_t> inodes;
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 10; ++i) {
      const auto made = make_file(client, std::to_string(round) + "-" + std::to_string(i));
      EXPECT_TRUE(inodes.insert(made.inode.value()).second);
    }
    restart();
    reconnect(client);
  }
}

}  // namespace
}  // namespace dfs
