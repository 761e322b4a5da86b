// Leases of sessions, against a whole core: grants, recalls, what waits for
// them, and what is left when a batch is refused.
#include "tests/unit/server/meta/core/lease_fixture.h"

namespace dfs {
namespace {

class Leases : public LeaseCoreTest {
 protected:
  Client ann = connect_for_leases();
  Client bob = connect_for_leases();
  // Made by somebody who may have no lease on it.
  Client cli = connect();
  InodeId file = make_file(cli, "a").inode;
};

using Recalls = std::vector<RecalledLease>;

TEST_F(Leases, ToReadAreForSeveral) {
  EXPECT_EQ(stat_lease(ann, file), LeaseKind::read);
  EXPECT_EQ(stat_lease(bob, file), LeaseKind::read);
  EXPECT_GT(last_order(bob), last_order(ann));
  EXPECT_TRUE(ann.sink->take_recalls().empty());
}

TEST_F(Leases, AreForThoseOnlyWhoAnswerRecalls) {
  EXPECT_EQ(stat_lease(cli, file), LeaseKind::none);
  EXPECT_EQ(last_order(cli), 0u);
  EXPECT_EQ(acquire(cli, file, LeaseKind::write), LeaseKind::none);
}

TEST_F(Leases, ComeWithEveryInodeThatAnAnswerTellsOf) {
  const auto found = get<EntryResult>(ann, LookupArgs{kRootInode, "a"});
  EXPECT_EQ(found.attributes.lease, LeaseKind::read);
  EXPECT_EQ(found.parent_lease, LeaseKind::read);
  const auto listed = get<ReadDirResult>(bob, ReadDirArgs{kRootInode});
  EXPECT_EQ(listed.lease, LeaseKind::read);
  ASSERT_EQ(listed.entries.size(), 1u);
  EXPECT_EQ(listed.entries[0].attributes.lease, LeaseKind::read);
}

TEST_F(Leases, AreForInodesThatWantToBeStrict) {
  get<AttributesResult>(
      cli, SetXattrArgs{.inode = kRootInode, .name = "dfs.consistency", .value = "relaxed"});
  const auto found = get<EntryResult>(ann, LookupArgs{kRootInode, "a"});
  EXPECT_EQ(found.parent_lease, LeaseKind::none);
  EXPECT_EQ(found.attributes.lease, LeaseKind::read) << "it was made before";
  EXPECT_EQ(make_file(ann, "b").lease, LeaseKind::none);
}

TEST_F(Leases, OnADirectoryComeWithNamesThatAreNotThere) {
  const auto absent =
      get<EntryResult>(ann, LookupArgs{.parent = kRootInode, .name = "b", .may_be_absent = true});
  EXPECT_TRUE(absent.absent);
  EXPECT_EQ(absent.parent_lease, LeaseKind::read);
  const std::uint64_t makes = ask(bob, CreateArgs{.parent = kRootInode, .name = "b"});
  EXPECT_FALSE(bob.sink->has(makes));
  EXPECT_EQ(only_recall(ann).leases, Recalls({{kRootInode, LeaseKind::none}}));
}

TEST_F(Leases, OfOneSessionStandInItsOwnWayNowhere) {
  EXPECT_EQ(stat_lease(ann, file), LeaseKind::read);
  EXPECT_EQ(acquire(ann, file, LeaseKind::write), LeaseKind::write);
  EXPECT_EQ(stat_lease(ann, file), LeaseKind::write) << "it has it already";
  EXPECT_EQ(error_of(call(ann, chmod(file))), Errc::ok);
  EXPECT_EQ(unlink(ann, "a"), Errc::ok);
  EXPECT_TRUE(ann.sink->take_recalls().empty());
}

TEST_F(Leases, OfReadersAreTakenBackBeforeSomebodyWrites) {
  stat_lease(ann, file);
  const std::uint64_t wants = ask(bob, AcquireLeaseArgs{file, LeaseKind::write});
  EXPECT_FALSE(bob.sink->has(wants));
  const LeaseRecall recall = only_recall(ann);
  EXPECT_EQ(recall.leases, Recalls({{file, LeaseKind::none}}));
  EXPECT_EQ(stat_lease(ann, file), LeaseKind::none) << "while it is asked for it";
  give_back(ann, {file, LeaseKind::none, recall.order});
  EXPECT_EQ(lease_in(bob, wants), LeaseKind::write);
  EXPECT_GT(bob.sink->order_of(wants), recall.order);
}

TEST_F(Leases, OfAWriterBecomeOnesToReadWhenSomebodyReads) {
  EXPECT_EQ(acquire(ann, file, LeaseKind::write), LeaseKind::write);
  const std::uint64_t reads = ask(bob, GetAttrArgs{file});
  EXPECT_FALSE(bob.sink->has(reads));
  const LeaseRecall recall = only_recall(ann);
  EXPECT_EQ(recall.leases, Recalls({{file, LeaseKind::read}}));
  EXPECT_EQ(error_of(call(ann, chmod(file))), Errc::ok) << "what it has to say runs ahead";
  give_back(ann, {file, LeaseKind::read, recall.order});
  const auto answer = std::get<AttributesResult>(bob.sink->wait_for(reads).value()).attributes;
  EXPECT_EQ(answer.mode, 0600u);
  EXPECT_EQ(answer.lease, LeaseKind::read);
  EXPECT_EQ(stat_lease(ann, file), LeaseKind::read);
}

TEST_F(Leases, OfAWriterAreAskedForByEverythingThatTellsOfTheFile) {
  const auto asks = [&](MetaArgs args) {
    acquire(ann, file, LeaseKind::write);
    ask(bob, std::move(args));
    const bool asked = answer_recalls(ann) == 1;
    answer_recalls(bob);
    give_back(bob, {file, LeaseKind::none, ~std::uint64_t{0}});
    return asked;
  };
  const InodeId other = make_file(cli, "other").inode;
  EXPECT_TRUE(asks(LookupArgs{kRootInode, "a"}));
  EXPECT_TRUE(asks(OpenArgs{file}));
  EXPECT_TRUE(asks(GetExtentsArgs{file}));
  EXPECT_TRUE(asks(ListXattrArgs{file}));
  EXPECT_TRUE(asks(CloneArgs{.source = file, .inode = other, .length = 1}));
  EXPECT_TRUE(asks(AcquireLeaseArgs{file, LeaseKind::read}));
  EXPECT_FALSE(asks(ReadDirArgs{kRootInode}));
  EXPECT_FALSE(asks(TouchArgs{{{file, 0, 1}}}));
  EXPECT_FALSE(asks(SetLockArgs{.inode = file, .ticket = 1}));
}

TEST_F(Leases, OfAWriterMakeWhatListingsAndLocksTellProvisional) {
  acquire(ann, file, LeaseKind::write);
  const auto listed = get<ReadDirResult>(bob, ReadDirArgs{kRootInode}).entries.at(0).attributes;
  EXPECT_TRUE(listed.provisional);
  EXPECT_EQ(listed.lease, LeaseKind::none);
  const SetLockArgs lock{.inode = file, .lock = {.owner = 1}, .ticket = 1};
  EXPECT_TRUE(get<AttributesResult>(bob, lock).attributes.provisional);
  EXPECT_FALSE(get<AttributesResult>(ann, lock).attributes.provisional) << "it knows better";
  EXPECT_FALSE(get<ReadDirResult>(ann, ReadDirArgs{kRootInode}).entries.at(0).attributes.provisional);
}

TEST_F(Leases, ToWriteComeWithAFileThatIsMade) {
  const auto made = get<OpenResult>(
      ann, CreateArgs{.parent = kRootInode, .name = "new", .mode = 0644, .open = true});
  EXPECT_EQ(made.attributes.lease, LeaseKind::write);
  EXPECT_EQ(made.parent->lease, LeaseKind::read);
  EXPECT_EQ(make_file(ann, "newer").lease, LeaseKind::write);
  const auto directory = get<EntryResult>(
      ann, CreateArgs{.parent = kRootInode, .name = "d", .type = FileType::directory});
  EXPECT_EQ(directory.attributes.lease, LeaseKind::read) << "never on a directory";
  EXPECT_EQ(make_file(ann, "a").lease, LeaseKind::read) << "it was there";
  EXPECT_EQ(make_unnamed_file(ann).lease, LeaseKind::write);
}

TEST_F(Leases, OnFilesWithoutANameAreForThoseWhoHaveThemOpen) {
  const InodeId open = make_open_file(ann, "open").inode;
  const auto removed = get<RemovedResult>(ann, UnlinkArgs{kRootInode, "open"});
  EXPECT_EQ(removed.removed->lease, LeaseKind::none);
  EXPECT_EQ(removed.parent.lease, LeaseKind::read);
  EXPECT_EQ(stat_lease(ann, open), LeaseKind::none);
  EXPECT_EQ(acquire(ann, open, LeaseKind::write), LeaseKind::write);
}

TEST_F(Leases, ToWriteComeWithAnOpenIfNobodyHasToGiveOneUp) {
  const OpenArgs opens{.inode = file, .write = true};
  EXPECT_EQ(get<OpenResult>(ann, opens).attributes.lease, LeaseKind::write);
  give_back(ann, {file, LeaseKind::read, last_order(ann)});
  EXPECT_EQ(get<OpenResult>(bob, opens).attributes.lease, LeaseKind::read);
}

TEST_F(Leases, AChangeWaitsUntilNobodyReliesOnWhatWas) {
  stat_lease(ann, file);
  stat_lease(bob, file);
  const std::uint64_t changes = ask(cli, chmod(file));
  EXPECT_FALSE(cli.sink->has(changes));
  EXPECT_EQ(answer_recalls(ann), 1u);
  EXPECT_FALSE(cli.sink->has(changes));
  EXPECT_EQ(mode_of(bob, file), 0644u) << "nothing of it has happened";
  EXPECT_EQ(answer_recalls(bob), 1u);
  EXPECT_EQ(error_of(cli.sink->wait_for(changes)), Errc::ok);
  EXPECT_EQ(mode_of(bob, file), 0600u);
}

TEST_F(Leases, AnExchangeWaitsForWhatItDoesNotTellOfToo) {
  const InodeId other = make_file(cli, "b").inode;
  stat_lease(ann, other);
  const std::uint64_t exchanges =
      ask(bob, RenameArgs{.parent = kRootInode, .name = "a", .new_parent = kRootInode,
                          .new_name = "b", .exchange = true});
  EXPECT_FALSE(bob.sink->has(exchanges));
  EXPECT_EQ(only_recall(ann).leases, Recalls({{other, LeaseKind::none}}));
}

TEST_F(Leases, WhatFailsDoesNotWait) {
  get<EntryResult>(ann, LookupArgs{kRootInode, "a"});
  EXPECT_EQ(unlink(bob, "b"), Errc::not_found);
  EXPECT_EQ(error_of(call(bob, CreateArgs{.parent = kRootInode, .name = "a", .exclusive = true})),
            Errc::exists);
  EXPECT_TRUE(ann.sink->take_recalls().empty());
}

TEST_F(Leases, ThoseWhoWaitAreServedInOrderAndNobodyOvertakesThem) {
  stat_lease(ann, file);
  const std::uint64_t changes = ask(bob, chmod(file));
  const std::uint64_t writes = ask(cli, chmod(file, 0640));
  Client late = connect_for_leases();
  EXPECT_EQ(stat_lease(late, file), LeaseKind::none);
  EXPECT_EQ(answer_recalls(ann), 1u);
  const auto changed = std::get<AttributesResult>(bob.sink->wait_for(changes).value()).attributes;
  EXPECT_EQ(changed.mode, 0600u);
  EXPECT_EQ(changed.lease, LeaseKind::none) << "another waits";
  EXPECT_EQ(std::get<AttributesResult>(cli.sink->wait_for(writes).value()).attributes.mode, 0640u);
}

TEST_F(Leases, WhoWaitedToWriteGetsToWriteBeforeTheNext) {
  acquire(ann, file, LeaseKind::write);
  const std::uint64_t second = ask(bob, AcquireLeaseArgs{file, LeaseKind::write});
  Client eve = connect_for_leases();
  const std::uint64_t third = ask(eve, AcquireLeaseArgs{file, LeaseKind::write});
  EXPECT_EQ(answer_recalls(ann), 1u);
  EXPECT_EQ(lease_in(bob, second), LeaseKind::write);
  EXPECT_FALSE(eve.sink->has(third));
  EXPECT_EQ(answer_recalls(bob), 1u);
  EXPECT_EQ(lease_in(eve, third), LeaseKind::write);
}

TEST_F(Leases, WhoGotToWriteIsNotWeakenedBecauseTheNextWaits) {
  acquire(ann, file, LeaseKind::write);
  const std::uint64_t writes = ask(bob, AcquireLeaseArgs{file, LeaseKind::write});
  const std::uint64_t looks = ask(bob, GetAttrArgs{file});
  const std::uint64_t reads = ask(cli, GetAttrArgs{file});
  EXPECT_EQ(answer_recalls(ann), 1u);
  EXPECT_EQ(lease_in(bob, writes), LeaseKind::write);
  EXPECT_EQ(lease_in(bob, looks), LeaseKind::write);
  EXPECT_FALSE(cli.sink->has(reads));
  EXPECT_EQ(answer_recalls(bob), 1u);
  EXPECT_TRUE(cli.sink->has(reads));
}

TEST_F(Leases, AMutationThatWaitsHappensOnceAlthoughItIsRepeatedOverAnotherStream) {
  stat_lease(ann, file);
  const CoreRequest link =
      request(bob, LinkArgs{.inode = file, .new_parent = kRootInode, .new_name = "b"});
  submit(bob, {link});
  const auto former = bob.sink;
  come(bob, {});
  submit(bob, {link});
  CoreRequest again = link;
  again.id = bob.next_id++;
  submit(bob, {again});
  EXPECT_EQ(answer_recalls(ann), 1u) << "it is asked once";
  EXPECT_EQ(error_of(bob.sink->wait_for(link.id)), Errc::ok);
  EXPECT_EQ(error_of(bob.sink->wait_for(again.id)), Errc::ok) << "from the stored answer";
  EXPECT_EQ(get<AttributesResult>(cli, GetAttrArgs{file}).attributes.nlink, 2u);
  EXPECT_FALSE(former->has(link.id));
}

TEST_F(Leases, AnAnswerThatIsRepeatedGivesNone) {
  const CoreRequest create =
      request(ann, CreateArgs{.parent = kRootInode, .name = "new", .open = true});
  ASSERT_TRUE(send(ann, create));
  come(ann, {});
  const auto again = send(ann, create);
  ASSERT_TRUE(again);
  const Attributes& made = std::get<OpenResult>(*again).attributes;
  EXPECT_EQ(made.lease, LeaseKind::none);
  EXPECT_EQ(stat_lease(bob, made.inode), LeaseKind::read) << "and nobody has to give it back";
}

TEST_F(Leases, AReturnDoesNotTakeWhatWasGrantedSince) {
  stat_lease(ann, file);
  const std::uint64_t before = last_order(ann);
  stat_lease(ann, file);
  give_back(ann, {file, LeaseKind::none, before});
  ask(bob, chmod(file));
  const LeaseRecall recall = only_recall(ann);
  EXPECT_GT(recall.order, before);
  EXPECT_EQ(recall.leases, Recalls({{file, LeaseKind::none}})) << "it has the later one";
}

TEST_F(Leases, AReturnThatNobodyAskedForIsTaken) {
  acquire(ann, file, LeaseKind::write);
  give_back(ann, {file, LeaseKind::none, last_order(ann)});
  EXPECT_EQ(stat_lease(bob, file), LeaseKind::read);
  EXPECT_TRUE(ann.sink->take_recalls().empty());
}

TEST_F(Leases, AReturnThatKeepsMoreThanItMayIsNoAnswer) {
  stat_lease(ann, file);
  const std::uint64_t changes = ask(bob, chmod(file));
  const LeaseRecall recall = only_recall(ann);
  give_back(ann, {file, LeaseKind::read, recall.order});
  EXPECT_FALSE(bob.sink->has(changes));
  EXPECT_TRUE(ann.sink->take_recalls().empty()) << "it has been asked";
  give_back(ann, {file, LeaseKind::none, recall.order});
  EXPECT_TRUE(bob.sink->has(changes));
}

TEST_F(Leases, OfAWriterAreAskedForAgainWhenTheNextNeedsAllOfThem) {
  acquire(ann, file, LeaseKind::write);
  const std::uint64_t reads = ask(bob, GetAttrArgs{file});
  const LeaseRecall first = only_recall(ann);
  const std::uint64_t changes = ask(cli, chmod(file));
  const LeaseRecall second = only_recall(ann);
  EXPECT_EQ(second.leases, Recalls({{file, LeaseKind::none}}));
  EXPECT_GT(second.order, first.order);
  give_back(ann, {file, LeaseKind::read, first.order});
  EXPECT_FALSE(cli.sink->has(changes));
  give_back(ann, {file, LeaseKind::none, second.order});
  EXPECT_EQ(lease_in(bob, reads), LeaseKind::none) << "the next is waiting";
  EXPECT_EQ(error_of(cli.sink->wait_for(changes)), Errc::ok);
}

TEST_F(Leases, EndWithTheirSession) {
  acquire(ann, file, LeaseKind::write);
  const std::uint64_t reads = ask(bob, GetAttrArgs{file});
  say_goodbye(ann);
  EXPECT_EQ(lease_in(bob, reads), LeaseKind::read);
}

TEST_F(Leases, OfASessionThatIsAwayStayUntilItEnds) {
  using namespace std::chrono_literals;
  stat_lease(ann, file);
  disconnect(ann);
  clock.advance(config.session_timeout + 1ms);
  const std::uint64_t changes = ask(bob, chmod(file));
  EXPECT_FALSE(bob.sink->has(changes));
  tick();
  EXPECT_EQ(error_of(bob.sink->wait_for(changes)), Errc::ok);
}

TEST_F(Leases, ARefusedBatchLeavesNoneOfWhatItGranted) {
  log->refuse_next(Errc::no_space);
  const CoreRequest makes = request(ann, CreateArgs{.parent = kRootInode, .name = "new"});
  const CoreRequest looks = request(ann, GetAttrArgs{file});
  submit(ann, {makes, looks});
  EXPECT_EQ(error_of(ann.sink->wait_for(makes.id)), Errc::no_space);
  EXPECT_EQ(ann.sink->order_of(makes.id), 0u);
  EXPECT_EQ(lease_in(ann, looks.id), LeaseKind::read) << "it ran again";
  EXPECT_EQ(error_of(call(bob, CreateArgs{.parent = kRootInode, .name = "b"})), Errc::ok)
      << "nobody relies on the directory";
}

TEST_F(Leases, ARefusedBatchMakesNobodyWaitForWhatItGranted) {
  const CoreRequest makes = request(ann, CreateArgs{.parent = kRootInode, .name = "new"});
  const CoreRequest looks = request(bob, LookupArgs{kRootInode, "new"});
  log->refuse_next(Errc::no_space);
  in_one_batch([&] {
    submit(ann, {makes});
    submit(bob, {looks});
  });
  EXPECT_EQ(error_of(ann.sink->wait_for(makes.id)), Errc::no_space);
  ASSERT_TRUE(bob.sink->has(looks.id));
  EXPECT_EQ(error_of(bob.sink->wait_for(looks.id)), Errc::not_found);
}

TEST_F(Leases, WhoWaitsWhenABatchIsRefusedGoesOnWaitingAndIsAnsweredOnce) {
  acquire(ann, file, LeaseKind::write);
  const CoreRequest makes = request(cli, CreateArgs{.parent = kRootInode, .name = "new"});
  const CoreRequest reads = request(bob, GetAttrArgs{file});
  const int before = bob.sink->messages();
  log->refuse_next(Errc::no_space);
  in_one_batch([&] {
    submit(cli, {makes});
    submit(bob, {reads});
  });
  EXPECT_EQ(error_of(cli.sink->wait_for(makes.id)), Errc::no_space);
  EXPECT_EQ(bob.sink->messages(), before);
  EXPECT_EQ(answer_recalls(ann), 1u);
  EXPECT_EQ(bob.sink->messages(), before + 1);
}

TEST_F(Leases, ARefusedBatchMayMakeWaitWhatHadNothingToWaitForInIt) {
  acquire(ann, file, LeaseKind::write);
  const CoreRequest removes = request(ann, UnlinkArgs{kRootInode, "a"});
  const CoreRequest looks = request(bob, LookupArgs{kRootInode, "a"});
  log->refuse_next(Errc::no_space);
  in_one_batch([&] {
    submit(ann, {removes});
    submit(bob, {looks});
  });
  EXPECT_FALSE(bob.sink->has(looks.id)) << "the file is there, and ann writes it";
  EXPECT_EQ(answer_recalls(ann), 1u);
  EXPECT_EQ(error_of(bob.sink->wait_for(looks.id)), Errc::ok);
}

TEST_F(Leases, AChangeThatWaitedAndCannotBeWrittenIsAnsweredSo) {
  stat_lease(ann, file);
  const CoreRequest changes = request(bob, chmod(file));
  submit(bob, {changes});
  log->refuse_next(Errc::no_space);
  EXPECT_EQ(answer_recalls(ann), 1u);
  EXPECT_EQ(error_of(bob.sink->wait_for(changes.id)), Errc::no_space);
  EXPECT_EQ(mode_of(cli, file), 0644u);
  EXPECT_EQ(error_of(send(bob, changes)), Errc::ok);
}

TEST_F(Leases, OnFilesThatAreGoneAreForgotten) {
  for (int i = 0; i < 100; ++i) {
    make_file(ann, "new");
    EXPECT_EQ(unlink(ann, "new"), Errc::ok);
  }
  clock.advance(config.orphan_grace);
  tick();
  const auto sessions = get<ClusterStatusResult>(cli, ClusterStatusArgs{}).sessions;
  for (const SessionStatus& session : sessions) EXPECT_LE(session.leases, 1u);
}

TEST_F(Leases, WhatASessionWouldLoseIsToldToOperators) {
  const UnsentBytes unsent{.bytes = 4096, .oldest_ms = 700};
  get<EmptyResult>(ann, KeepAliveArgs{unsent});
  const auto sessions = get<ClusterStatusResult>(cli, ClusterStatusArgs{}).sessions;
  for (const SessionStatus& session : sessions)
    EXPECT_EQ(session.unsent, session.session == ann.welcome.session ? unsent : UnsentBytes{});
}

TEST_F(Leases, WhatWasOpenedWithoutAWordIsHeldWhenALeaseIsGivenBack) {
  stat_lease(ann, file);
  const std::uint64_t removes = ask(bob, UnlinkArgs{kRootInode, "a"});
  const LeaseRecall recall = only_recall(ann);
  give_back(ann, {file, LeaseKind::none, recall.order, 2});
  EXPECT_EQ(error_of(bob.sink->wait_for(removes)), Errc::ok);
  clock.advance(config.orphan_grace);
  tick();
  EXPECT_EQ(stat(ann, file), Errc::ok);
  get<EmptyResult>(ann, ReleaseArgs{file, 2});
  tick();
  EXPECT_EQ(stat(ann, file), Errc::stale);
}

TEST_F(Leases, TooManyThatWaitAreRefused) {
  config.outstanding_max = 8;
  restart();
  for (Client* client : {&ann, &bob}) come(*client, {});
  stat_lease(ann, file);
  for (int i = 0; i < 2; ++i) ask(bob, chmod(file));
  EXPECT_EQ(error_of(call(bob, chmod(file))), Errc::overloaded);
  EXPECT_EQ(stat(bob, kRootInode), Errc::ok);
}

class LoneSession : public LeaseCoreTest {};

TEST_F(LoneSession, KeepsWhatItSaysItMayHoldUntilItSaysSoOrTheGraceIsOver) {
  Client ann = connect_for_leases();
  const InodeId held = make_file(ann, "held").inode;
  const InodeId closed = make_file(ann, "closed").inode;
  get<RemovedResult>(ann, UnlinkArgs{.parent = kRootInode, .name = "held", .keep = true});
  get<RemovedResult>(ann, RenameArgs{.parent = kRootInode, .name = "closed",
                                     .new_parent = kRootInode, .new_name = "closed"});
  get<EntryResult>(ann, CreateArgs{.parent = kRootInode, .name = "over"});
  get<RemovedResult>(ann, RenameArgs{.parent = kRootInode, .name = "over",
                                     .new_parent = kRootInode, .new_name = "closed",
                                     .keep = true});
  get<EmptyResult>(ann, HoldArgs{held, 2});
  clock.advance(config.orphan_grace);
  tick();
  EXPECT_EQ(stat(ann, held), Errc::ok);
  EXPECT_EQ(stat(ann, closed), Errc::stale);
  EXPECT_EQ(error_of(call(ann, HoldArgs{closed})), Errc::stale);
  get<EmptyResult>(ann, ReleaseArgs{held, 2});
  tick();
  EXPECT_EQ(stat(ann, held), Errc::stale);
}

}  // namespace
}  // namespace dfs
