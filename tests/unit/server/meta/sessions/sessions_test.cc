// Sessions and what they hold, against a whole core.
#include "tests/unit/server/meta/core/core_fixture.h"

namespace dfs {
namespace {

using namespace std::chrono_literals;
using Sessions = CoreTest;
using Orphans = CoreTest;

TEST_F(Sessions, GetIdsThatAreNeverUsedAgain) {
  const SessionId first = connect().welcome.session;
  const SessionId second = connect().welcome.session;
  EXPECT_NE(first, second);
  restart();
  const SessionId third = connect().welcome.session;
  EXPECT_GT(third, second);
}

TEST_F(Sessions, GoOnAfterARestartWithANewEpoch) {
  Client client = connect();
  const Epoch before = client.welcome.epoch;
  restart();
  reconnect(client);
  EXPECT_TRUE(client.welcome.resumed);
  EXPECT_GT(client.welcome.epoch, before);
}

TEST_F(Sessions, GoOnAlthoughTheLastWelcomeGotLost) {
  Client client = connect();
  Client lost = client;
  reconnect(lost);
  reconnect(client);
  EXPECT_TRUE(client.welcome.resumed);
}

TEST_F(Sessions, ThatAreUnknownBecomeNewOnes) {
  Client client = connect();
  client.welcome.session = SessionId{999};
  reconnect(client);
  EXPECT_FALSE(client.welcome.resumed);
  EXPECT_NE(client.welcome.session, SessionId{999});
}

TEST_F(Sessions, OfAnotherClusterAreRefused) {
  const auto refused = hello({.cluster = "another"}, std::make_shared<RecordingSink>());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::wrong_cluster);
}

TEST_F(Sessions, AreRefusedBeyondTheLimit) {
  config.sessions_max = 2;
  connect();
  connect();
  const auto refused = hello({}, std::make_shared<RecordingSink>());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::overloaded);
}

TEST_F(Sessions, DoNotFollowTheCalendar) {
  Client client = connect();
  const InodeId file = make_file(client, "a").inode;
  disconnect(client);
  for (const auto jump : {240h, -480h}) {
    clock.jump_wall(jump);
    tick();
  }
  reconnect(client);
  EXPECT_TRUE(client.welcome.resumed);
  EXPECT_EQ(stat(client, file), Errc::ok);
  disconnect(client);
  clock.advance(config.session_timeout + 1ms);
  tick();
  reconnect(client);
  EXPECT_FALSE(client.welcome.resumed) << "what has passed has passed";
}

TEST_F(Sessions, EndAfterBeingAwayForTooLongAndNotBefore) {
  Client client = connect();
  make_file(client, "a");
  disconnect(client);
  clock.advance(config.session_timeout);
  tick();
  reconnect(client);
  EXPECT_TRUE(client.welcome.resumed);

  disconnect(client);
  clock.advance(config.session_timeout + 1ms);
  tick();
  Client other = connect();
  EXPECT_EQ(get<ClusterStatusResult>(other, ClusterStatusArgs{}).sessions.size(), 1u);
  std::string row;
  raw_key<tables::Replies>(row, {client.welcome.session, Sequence{1}});
  EXPECT_FALSE(store.get(row).value()) << "its replies are gone";
  raw_key<tables::Sessions>(row, client.welcome.session);
  EXPECT_FALSE(store.get(row).value());
  reconnect(client);
  EXPECT_FALSE(client.welcome.resumed);
}

TEST_F(Sessions, ThatAreConnectedNeverEnd) {
  Client client = connect();
  clock.advance(24h);
  tick();
  EXPECT_EQ(stat(client, kRootInode), Errc::ok);
}

TEST_F(Sessions, ALateDisconnectOfAFormerStreamChangesNothing) {
  Client client = connect();
  const Client former = client;
  reconnect(client);
  disconnect(former);
  clock.advance(config.session_timeout + 1s);
  tick();
  EXPECT_EQ(stat(client, kRootInode), Errc::ok);
}

TEST_F(Sessions, ThatSayGoodbyeAreForgottenAtOnce) {
  Client other = connect();
  Client client = connect();
  const InodeId inode = make_open_file(client, "a").inode;
  EXPECT_EQ(unlink(client, "a"), Errc::ok);
  EXPECT_EQ(stat(other, inode), Errc::ok);
  say_goodbye(client);
  const auto status = get<ClusterStatusResult>(other, ClusterStatusArgs{});
  ASSERT_EQ(status.sessions.size(), 1u);
  EXPECT_EQ(status.sessions[0].session, other.welcome.session);
  std::string row;
  raw_key<tables::Replies>(row, {client.welcome.session, Sequence{1}});
  EXPECT_FALSE(store.get(row).value()) << "its replies are gone";
  raw_key<tables::Sessions>(row, client.welcome.session);
  EXPECT_FALSE(store.get(row).value());
  tick();
  EXPECT_EQ(stat(other, inode), Errc::stale) << "it holds nothing any more";
  disconnect(client);
  EXPECT_EQ(error_of(call(client, GetAttrArgs{kRootInode})), Errc::session_lost);
  reconnect(client);
  EXPECT_FALSE(client.welcome.resumed);
}

TEST_F(Sessions, ThatSayGoodbyeHoldingMuchAreNotSeenWhileTheyEnd) {
  Client other = connect();
  Client client = connect();
  for (int i = 0; i < 5'000; ++i) {
    const std::string name = std::to_string(i);
    make_open_file(client, name);
    client.answered = client.next_sequence - 1;
  }
  say_goodbye(client);
  EXPECT_EQ(get<ClusterStatusResult>(other, ClusterStatusArgs{}).sessions.size(), 1u);
  std::string row;
  raw_key<tables::Sessions>(row, client.welcome.session);
  EXPECT_TRUE(store.get(row).value()) << "the rest is for the housekeeping";
  tick();
  EXPECT_FALSE(store.get(row).value());
}

TEST_F(Sessions, AGoodbyeThatCannotBeWrittenIsCarriedOutLater) {
  Client client = connect();
  make_open_file(client, "a");
  log->refuse_next(Errc::no_space);
  say_goodbye(client);
  std::string row;
  raw_key<tables::Sessions>(row, client.welcome.session);
  EXPECT_TRUE(store.get(row).value());
  tick();
  EXPECT_FALSE(store.get(row).value());
}

TEST_F(Sessions, AGoodbyeOfAFormerStreamChangesNothing) {
  Client client = connect();
  const Client former = client;
  reconnect(client);
  say_goodbye(former);
  tick();
  EXPECT_EQ(stat(client, kRootInode), Errc::ok);
}

TEST_F(Sessions, MayHoldOnlySoManyFilesOpen) {
  config.held_max = 2;
  restart();
  Client client = connect();
  make_open_file(client, "a");
  make_open_file(client, "b");
  EXPECT_EQ(error_of(call(client, CreateArgs{.parent = kRootInode, .name = "c", .open = true})),
            Errc::no_memory);
  EXPECT_EQ(look(client, "c"), Errc::not_found);
}

TEST_F(Orphans, AFileThatNobodyHoldsIsGoneAtOnceForASingleSession) {
  Client client = connect();
  const InodeId inode = make_file(client, "a").inode;
  unlink(client, "a");
  EXPECT_EQ(stat(client, inode), Errc::stale);
}

TEST_F(Orphans, AnOpenFileStaysUntilItsLastRelease) {
  Client client = connect();
  const InodeId inode = make_open_file(client, "a").inode;
  get<OpenResult>(client, OpenArgs{inode});
  unlink(client, "a");
  clock.advance(1h);
  tick();
  EXPECT_EQ(stat(client, inode), Errc::ok);

  call(client, ReleaseArgs{inode});
  tick();
  EXPECT_EQ(stat(client, inode), Errc::ok) << "opened twice, released once";
  call(client, ReleaseArgs{inode});
  tick();
  EXPECT_EQ(stat(client, inode), Errc::stale);
}

TEST_F(Orphans, AFileIsKeptForAGraceBecauseAnOpenOfAnotherSessionMayBeOnItsWay) {
  Client one = connect();
  Client two = connect();
  const InodeId inode = make_file(one, "a").inode;
  unlink(one, "a");
  tick();
  EXPECT_EQ(error_of(call(two, OpenArgs{inode})), Errc::ok);
  clock.advance(1h);
  tick();
  EXPECT_EQ(stat(two, inode), Errc::ok) << "now it is held";

  const InodeId other = make_file(one, "b").inode;
  unlink(one, "b");
  clock.advance(config.orphan_grace - 1ms);
  tick();
  EXPECT_EQ(stat(two, other), Errc::ok);
  clock.advance(1ms);
  tick();
  EXPECT_EQ(stat(two, other), Errc::stale);
}

TEST_F(Orphans, ASessionThatIsAwayDelaysNoRemoval) {
  Client one = connect();
  Client two = connect();
  disconnect(two);
  disconnect(two);
  const InodeId inode = make_file(one, "a").inode;
  unlink(one, "a");
  EXPECT_EQ(stat(one, inode), Errc::stale);
}

TEST_F(Orphans, AReplacedFileThatIsOpenElsewhereStays) {
  Client one = connect();
  Client two = connect();
  const InodeId inode = make_open_file(two, "a").inode;
  make_file(one, "b");
  ASSERT_TRUE(call(one, RenameArgs{.parent = kRootInode, .name = "b", .new_parent = kRootInode,
                                   .new_name = "a"}));
  clock.advance(1h);
  tick();
  EXPECT_EQ(stat(two, inode), Errc::ok);
}

TEST_F(Orphans, WaitAfterARestartUntilSessionsHadTimeToComeBack) {
  Client one = connect();
  Client two = connect();
  const InodeId held = make_open_file(one, "a").inode;
  const InodeId unheld = make_open_file(two, "b").inode;
  unlink(one, "a");
  unlink(two, "b");

  restart();
  clock.advance(config.restart_grace - 1ms);
  tick();
  reconnect(one, {held});
  EXPECT_EQ(stat(one, unheld), Errc::ok);
  clock.advance(1ms);
  tick();
  EXPECT_EQ(stat(one, unheld), Errc::stale);
  EXPECT_EQ(stat(one, held), Errc::ok) << "it was declared again";
}

TEST_F(Orphans, AreReleasedWhenTheSessionThatHoldsThemEnds) {
  Client one = connect();
  Client two = connect();
  const InodeId inode = make_open_file(two, "a").inode;
  unlink(one, "a");
  disconnect(two);
  clock.advance(config.session_timeout + 1s);
  tick();
  EXPECT_EQ(stat(one, inode), Errc::stale);
}

TEST_F(Orphans, AFileMadeWithoutANameStaysUntilItIsReleased) {
  Client client = connect();
  const InodeId inode = make_unnamed_file(client).inode;
  clock.advance(1h);
  tick();
  EXPECT_EQ(stat(client, inode), Errc::ok);
  call(client, ReleaseArgs{inode});
  tick();
  EXPECT_EQ(stat(client, inode), Errc::stale);
  EXPECT_EQ(error_of(call(client, LinkArgs{inode, kRootInode, "f"})), Errc::stale);
}

TEST_F(Orphans, AFileMadeWithoutANameOutlivesARestartWithItsSession) {
  Client client = connect();
  Client gone = connect();
  const InodeId kept = make_unnamed_file(client).inode;
  const InodeId lost = make_unnamed_file(gone).inode;
  restart();
  reconnect(client, {kept});
  clock.advance(config.session_timeout + 1s);
  tick();
  EXPECT_EQ(stat(client, lost), Errc::stale);
  EXPECT_EQ(error_of(call(client, LinkArgs{kept, kRootInode, "f"})), Errc::ok);
  call(client, ReleaseArgs{kept});
  clock.advance(1h);
  tick();
  EXPECT_EQ(look(client, "f"), Errc::ok) << "it has a name now";
}

TEST_F(Orphans, AFileMadeWithoutANameGoesWithItsSession) {
  Client one = connect();
  Client two = connect();
  const InodeId inode = make_unnamed_file(two).inode;
  EXPECT_EQ(error_of(call(one, LinkArgs{inode, kRootInode, "f"})), Errc::ok)
      << "whoever knows its number and finds it held may name it";
  const InodeId other = make_unnamed_file(two).inode;
  say_goodbye(two);
  tick();
  EXPECT_EQ(stat(one, inode), Errc::ok);
  EXPECT_EQ(stat(one, other), Errc::stale);
}

TEST_F(Orphans, AreTriedAgainWhenTheLogTookNoChanges) {
  Client client = connect();
  const InodeId inode = make_open_file(client, "a").inode;
  unlink(client, "a");
  call(client, ReleaseArgs{inode});
  std::string row;
  raw_key<tables::Inodes>(row, inode);
  log->refuse_next(Errc::no_space);
  tick();
  EXPECT_TRUE(store.get(row).value());
  clock.advance(2s);
  tick();
  EXPECT_FALSE(store.get(row).value());
}

TEST_F(Orphans, AFileOfManyExtentsIsPurgedInSlicesBetweenRequests) {
  add_server(1);
  Client client = connect();
  const InodeId inode = make_file(client, "big").inode;
  constexpr std::uint32_t kExtents = 2 * kPurgeExtentsMax + 100;
  for (std::uint32_t done = 0; done < kExtents;) {
    const auto ranges =
        get<AllocateResult>(client, AllocateArgs{.inode = inode, .count = 2048}).ranges;
    CommitFile file{.inode = inode, .extents = {}, .holes = {}};
    for (const ChunkRange& range : ranges)
      for (std::uint32_t i = 0; i < range.count; ++i, ++done)
        file.extents.push_back({.file_offset = done * 4096ull,
                                .length = 4096,
                                .chunk = ChunkId{range.first.value() + i}});
    get<CommitResult>(client, CommitArgs{.files = {file}});
  }
  unlink(client, "big");
  int slices = 0;
  while (core->tick()) ++slices;
  EXPECT_GE(slices, 1);
  const auto status = get<ClusterStatusResult>(client, ClusterStatusArgs{});
  EXPECT_EQ(status.chunks, 0u);
  EXPECT_GE(status.garbage_chunks, kExtents);
}

}  // namespace
}  // namespace dfs
