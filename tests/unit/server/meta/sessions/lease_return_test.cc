// Sessions that come back, that do not, and servers that start again: what
// becomes of leases, and of who waits for them. Against a whole core.
#include "tests/unit/server/meta/core/lease_fixture.h"

namespace dfs {
namespace {

using namespace std::chrono_literals;
using Recalls = std::vector<RecalledLease>;

class LeaseReturn : public LeaseCoreTest {
 protected:
  std::vector<Eviction> evictions() {
    return get<ClusterStatusResult>(cli, ClusterStatusArgs{}).evictions;
  }
  void wait_too_long() {
    clock.advance(config.lease_time + 1ms);
    tick();
  }

  Client ann = connect_for_leases();
  Client bob = connect_for_leases();
  Client cli = connect();
  InodeId file = make_file(cli, "a").inode;
};

using LeaseEviction = LeaseReturn;
using LeaseRestart = LeaseReturn;

// --- not answering ---------------------------------------------------------------

TEST_F(LeaseEviction, EndsASessionThatDoesNotGiveBackWhatSomebodyWaitsFor) {
  acquire(ann, file, LeaseKind::write);
  const InodeId open = make_open_file(ann, "open").inode;
  clock.advance(1h);
  const std::uint64_t reads = ask(bob, GetAttrArgs{file});
  clock.advance(config.lease_time);
  tick();
  EXPECT_FALSE(bob.sink->has(reads));
  EXPECT_FALSE(ann.sink->ended());

  clock.advance(1ms);
  tick();
  EXPECT_EQ(lease_in(bob, reads), LeaseKind::read);
  ASSERT_TRUE(ann.sink->ended());
  EXPECT_EQ(ann.sink->ended()->code, Errc::session_lost);
  EXPECT_NE(ann.sink->ended()->text.find("has not given back its lease on inode"),
            std::string::npos);
  EXPECT_EQ(error_of(call(ann, GetAttrArgs{file})), Errc::session_lost);
  ASSERT_EQ(evictions().size(), 1u);
  EXPECT_EQ(evictions()[0].session, ann.welcome.session);
  EXPECT_EQ(unlink(cli, "open"), Errc::ok) << "it relies on nothing and holds nothing";
  clock.advance(config.orphan_grace);
  tick();
  EXPECT_EQ(stat(cli, open), Errc::stale);
}

TEST_F(LeaseEviction, DoesNotTouchASessionThatNobodyWaitsFor) {
  acquire(ann, file, LeaseKind::write);
  ask(cli, GetAttrArgs{file});
  disconnect(cli);
  wait_too_long();
  EXPECT_FALSE(ann.sink->ended());
  reconnect(cli);
  ask(cli, GetAttrArgs{file});
  clock.advance(config.lease_time);
  tick();
  EXPECT_FALSE(ann.sink->ended()) << "the time is that of who waits now";
  wait_too_long();
  EXPECT_TRUE(ann.sink->ended());
}

TEST_F(LeaseEviction, DoesNotWaitLongerForASessionThatIsAway) {
  stat_lease(ann, file);
  disconnect(ann);
  clock.advance(1s);
  const std::uint64_t changes = ask(bob, chmod(file));
  EXPECT_FALSE(bob.sink->has(changes));
  wait_too_long();
  EXPECT_EQ(error_of(bob.sink->wait_for(changes)), Errc::ok);
  come(ann, {.read = {file}});
  EXPECT_FALSE(ann.welcome.resumed);
  EXPECT_EQ(ann.welcome.leases.lost, std::vector{file});
}

TEST_F(LeaseEviction, RemembersTheLatestOnly) {
  for (std::size_t i = 0; i <= kEvictionsKept; ++i) {
    Client silent = connect_for_leases();
    stat_lease(silent, file);
    const std::uint64_t changes = ask(cli, chmod(file));
    wait_too_long();
    EXPECT_TRUE(cli.sink->has(changes));
  }
  ASSERT_EQ(evictions().size(), kEvictionsKept);
  EXPECT_LT(evictions().front().session, evictions().back().session);
}

TEST_F(LeaseEviction, CountsTheTimeFromWhenSomebodyWaits) {
  acquire(ann, file, LeaseKind::write);
  ask(bob, GetAttrArgs{file});
  clock.advance(config.lease_time - 1s);
  ask(cli, chmod(file));  // asks for more
  clock.advance(1s + 1ms);
  tick();
  EXPECT_TRUE(ann.sink->ended()) << "bob has waited for that long";
}

// --- coming back -----------------------------------------------------------------

TEST_F(LeaseReturn, OfASessionKeepsWhatItClaims) {
  acquire(ann, file, LeaseKind::write);
  const std::uint64_t granted = last_order(ann);
  disconnect(ann);
  come(ann, {.write = {file}});
  EXPECT_TRUE(ann.welcome.leases.lost.empty());
  EXPECT_GE(ann.welcome.leases.order, granted);
  EXPECT_EQ(ann.welcome.leases.lease_time, config.lease_time);
  const std::uint64_t reads = ask(bob, GetAttrArgs{file});
  EXPECT_FALSE(bob.sink->has(reads));
  EXPECT_EQ(answer_recalls(ann), 1u);
  EXPECT_EQ(lease_in(bob, reads), LeaseKind::read);
}

TEST_F(LeaseReturn, OfASessionDropsWhatItDoesNotClaimAndServesWhoWaitsForThat) {
  stat_lease(ann, file);
  const std::uint64_t changes = ask(bob, chmod(file));
  EXPECT_FALSE(bob.sink->has(changes));
  disconnect(ann);
  come(ann, {});
  EXPECT_EQ(error_of(bob.sink->wait_for(changes)), Errc::ok);
  EXPECT_TRUE(ann.sink->take_recalls().empty());
}

TEST_F(LeaseReturn, OfASessionAsksItAgainForWhatIsStillWaitedFor) {
  const InodeId other = make_file(cli, "b").inode;
  acquire(ann, file, LeaseKind::write);
  stat_lease(ann, other);
  disconnect(ann);
  const std::uint64_t reads = ask(bob, GetAttrArgs{file});
  const std::uint64_t changes = ask(bob, chmod(other));
  come(ann, {.read = {other}, .write = {file}});
  EXPECT_EQ(only_recall(ann).leases,
            Recalls({{file, LeaseKind::read}, {other, LeaseKind::none}}));
  come(ann, {.read = {file, other}});
  EXPECT_TRUE(bob.sink->has(reads)) << "it has less by now";
  const LeaseRecall recall = only_recall(ann);
  EXPECT_EQ(recall.leases, Recalls({{other, LeaseKind::none}}));
  give_back(ann, {other, LeaseKind::none, recall.order});
  EXPECT_TRUE(bob.sink->has(changes));
}

TEST_F(LeaseReturn, OfASessionLosesWhatOthersHave) {
  const InodeId other = make_file(cli, "b").inode;
  acquire(bob, file, LeaseKind::write);
  stat_lease(bob, other);
  come(ann, {.read = {file, other}, .write = {other}});
  EXPECT_EQ(ann.welcome.leases.lost, (std::vector{file, other}));
}

TEST_F(LeaseReturn, OfASessionThatIsUnknownLosesEverything) {
  ann.welcome.session = SessionId{999};
  come(ann, {.read = {file}, .write = {kRootInode}});
  EXPECT_FALSE(ann.welcome.resumed);
  EXPECT_EQ(ann.welcome.leases.lost, (std::vector{file, kRootInode}));
  EXPECT_EQ(error_of(call(bob, chmod(file))), Errc::ok);
}

// --- a server that starts again ----------------------------------------------------

TEST_F(LeaseRestart, LetsNobodyChangeOrReadWhatASessionThatIsMissingMayRelyOn) {
  acquire(ann, file, LeaseKind::write);
  restart();
  come(bob, {});
  cli = connect();
  const std::uint64_t reads = ask(bob, GetAttrArgs{file});
  const std::uint64_t makes = ask(cli, CreateArgs{.parent = kRootInode, .name = "new"});
  EXPECT_FALSE(bob.sink->has(reads));
  EXPECT_FALSE(cli.sink->has(makes));
  const auto listed = get<ReadDirResult>(bob, ReadDirArgs{kRootInode});
  EXPECT_TRUE(listed.entries.at(0).attributes.provisional);
  EXPECT_EQ(listed.lease, LeaseKind::read) << "names are never changed without a word";

  come(ann, {.write = {file}});
  EXPECT_TRUE(cli.sink->has(makes) || answer_recalls(bob) == 1);
  EXPECT_TRUE(cli.sink->has(makes));
  EXPECT_FALSE(bob.sink->has(reads));
  EXPECT_EQ(answer_recalls(ann), 1u);
  EXPECT_EQ(lease_in(bob, reads), LeaseKind::read);
}

TEST_F(LeaseRestart, LetsASessionGoOnWithWhatItHas) {
  acquire(ann, file, LeaseKind::write);
  restart();
  come(ann, {.write = {file}});
  EXPECT_EQ(error_of(call(ann, chmod(file))), Errc::ok) << "although bob is missing";
  EXPECT_EQ(stat_lease(ann, file), LeaseKind::write);
}

// What the process had that was killed: the server knows it, or it was restarted too
// and believes what the session remembers.
TEST_F(LeaseRestart, TellsAnotherProcessOfASessionWhatItHas) {
  acquire(ann, file, LeaseKind::write);
  const FileLock lock{LockFamily::flock, LockKind::exclusive, 9};
  EXPECT_EQ(error_of(call(ann, SetLockArgs{file, lock})), Errc::ok);
  adopt(ann, {});
  ASSERT_TRUE(ann.welcome.estate);
  EXPECT_TRUE(ann.welcome.estate->is_complete);
  EXPECT_EQ(ann.welcome.estate->leases.write, std::vector<InodeId>{file});
  ASSERT_EQ(ann.welcome.estate->locks.size(), 1u);
  EXPECT_EQ(ann.welcome.estate->locks[0].lock, lock);

  restart();
  adopt(ann, {.leases = {.write = {file}}, .locks = {{file, lock}}});
  ASSERT_TRUE(ann.welcome.estate);
  EXPECT_FALSE(ann.welcome.estate->is_complete);
  EXPECT_EQ(ann.welcome.estate->leases.write, std::vector<InodeId>{file});
  EXPECT_EQ(ann.welcome.estate->locks.size(), 1u);
  has_forgotten(ann);

  come(bob, {});
  const std::uint64_t reads = ask(bob, GetAttrArgs{file});
  EXPECT_FALSE(bob.sink->has(reads)) << "before what was written is there";
  EXPECT_EQ(answer_recalls(ann), 1u);
  EXPECT_EQ(lease_in(bob, reads), LeaseKind::read);
}

TEST_F(LeaseRestart, GivesAnotherProcessOfASessionNothingThatItDoesNotRemember) {
  acquire(ann, file, LeaseKind::write);
  restart();
  adopt(ann, {});
  ASSERT_TRUE(ann.welcome.estate);
  EXPECT_TRUE(ann.welcome.estate->leases.write.empty());
  has_forgotten(ann);
  come(bob, {});
  EXPECT_EQ(stat_lease(bob, file), LeaseKind::read);
}

// Its kernel was told things under leases that nobody remembers.
TEST_F(LeaseRestart, DoesNotTakeAnotherProcessForBackBeforeItHasForgotten) {
  stat_lease(ann, file);
  restart();
  come(bob, {});
  adopt(ann, {});
  const std::uint64_t changes = ask(bob, chmod(file));
  EXPECT_FALSE(bob.sink->has(changes)) << "the one that was killed had told its kernel";
  adopt(ann, {});
  ASSERT_TRUE(ann.welcome.estate);
  EXPECT_FALSE(ann.welcome.estate->is_complete) << "the one before was killed too, too early";
  EXPECT_FALSE(bob.sink->has(changes));
  has_forgotten(ann);
  ASSERT_TRUE(bob.sink->wait_for(changes));
  adopt(ann, {});
  ASSERT_TRUE(ann.welcome.estate);
  EXPECT_TRUE(ann.welcome.estate->is_complete);
}

TEST_F(LeaseRestart, LetsNobodyWriteBesideAReaderThatIsMissing) {
  stat_lease(ann, file);
  stat_lease(bob, file);
  restart();
  come(ann, {.read = {file}});
  const OpenArgs opens{.inode = file, .write = true};
  EXPECT_EQ(get<OpenResult>(ann, opens).attributes.lease, LeaseKind::read);
  const std::uint64_t asks = ask(ann, AcquireLeaseArgs{file, LeaseKind::write});
  EXPECT_FALSE(ann.sink->has(asks));

  come(bob, {.read = {file}});
  EXPECT_EQ(answer_recalls(bob), 1u);
  EXPECT_EQ(lease_in(ann, asks), LeaseKind::write);
}

TEST_F(LeaseRestart, DelaysALoneSessionByNothingButItsOwnReturn) {
  say_goodbye(bob);
  stat_lease(ann, file);
  restart();
  const Client early = connect();
  come(ann, {.read = {file}});
  EXPECT_EQ(error_of(call(ann, chmod(file))), Errc::ok);
}

TEST_F(LeaseRestart, DelaysNobodyWhereNoSessionHadLeases) {
  say_goodbye(ann);
  say_goodbye(bob);
  restart();
  cli = connect();
  EXPECT_EQ(error_of(call(cli, chmod(file))), Errc::ok);
}

TEST_F(LeaseRestart, EndsASessionThatStaysAway) {
  restart();
  come(bob, {});
  const std::uint64_t changes = ask(bob, chmod(file));
  clock.advance(config.lease_time);
  tick();
  EXPECT_FALSE(bob.sink->has(changes));
  clock.advance(1ms);
  tick();
  EXPECT_EQ(error_of(bob.sink->wait_for(changes)), Errc::ok);
  cli = connect();
  ASSERT_EQ(evictions().size(), 1u);
  EXPECT_NE(evictions()[0].why.find("has not come back"), std::string::npos);
  come(ann, {});
  EXPECT_FALSE(ann.welcome.resumed);
}

TEST_F(LeaseRestart, DoesNotWaitForWhatPowerLossHasLeftOfASessionThatIsBack) {
  say_goodbye(bob);
  restart();
  ann.welcome.epoch = Epoch{ann.welcome.epoch.value() + 1};  // the server has forgotten it
  come(ann, {});
  EXPECT_FALSE(ann.welcome.resumed);
  EXPECT_EQ(error_of(call(ann, chmod(file))), Errc::ok);
  tick();
  EXPECT_EQ(get<ClusterStatusResult>(ann, ClusterStatusArgs{}).sessions.size(), 2u)
      << "itself, and the one that never has leases";
}

TEST_F(LeaseRestart, NumbersGrantsHigherThanEverBefore) {
  stat_lease(ann, file);
  const std::uint64_t before = last_order(ann);
  restart();
  EXPECT_EQ(hello({.cluster = "another"}, std::make_shared<RecordingSink>()).error().code,
            Errc::wrong_cluster);
  restart();
  come(ann, {.read = {file}});
  come(bob, {});
  EXPECT_GT(ann.welcome.leases.order, before);
  stat_lease(ann, file);
  EXPECT_GT(last_order(ann), ann.welcome.leases.order);
}

TEST_F(LeaseRestart, CountsAStartWhoseFirstBatchWasRefused) {
  restart();
  log->refuse_next(Errc::no_space);
  EXPECT_FALSE(hello({}, std::make_shared<RecordingSink>()));
  come(ann, {});
  const std::uint64_t before = ann.welcome.leases.order;
  restart();
  come(ann, {});
  EXPECT_GT(ann.welcome.leases.order, before);
}

TEST_F(LeaseRestart, DropsWhatWaitsWithItsStream) {
  restart();
  come(bob, {});
  const CoreRequest link =
      request(bob, LinkArgs{.inode = file, .new_parent = kRootInode, .new_name = "b"});
  submit(bob, {link});
  come(bob, {});
  submit(bob, {link});
  come(ann, {});
  EXPECT_EQ(error_of(bob.sink->wait_for(link.id)), Errc::ok);
  EXPECT_EQ(get<AttributesResult>(bob, GetAttrArgs{file}).attributes.nlink, 2u);
}

}  // namespace
}  // namespace dfs
