// Locks of sessions, against a whole core: answers that come later, streams
// that break, sessions that end, servers that start again.
#include "tests/unit/server/meta/core/core_fixture.h"

namespace dfs {
namespace {

using namespace std::chrono_literals;

class Locks : public CoreTest {
 protected:
  static FileLock lock(LockKind kind, std::uint64_t start = 0, std::uint64_t end = kLockEndMax) {
    return {LockFamily::posix, kind, 1, start, end, 1};
  }
  // Returns the request's id; its answer may come later.
  std::uint64_t ask(Client& client, const FileLock& wanted, bool wait = false) {
    CoreRequest made = request(client, SetLockArgs{file, wanted, wait, client.next_id});
    const std::uint64_t id = made.id;
    submit(client, {std::move(made)});
    return id;
  }
  Errc set(Client& client, const FileLock& wanted) {
    return error_of(client.sink->wait_for(ask(client, wanted)));
  }
  void say_again(Client& client, const std::vector<FileLock>& locks) {
    std::vector<HeldLock> held;
    for (const FileLock& each : locks) held.push_back({file, each});
    client.sink = std::make_shared<RecordingSink>();
    client.welcome = hello({.session = client.welcome.session,
                            .epoch = client.welcome.epoch,
                            .program = "test",
                            .locks = std::move(held)},
                           client.sink)
                         .value();
  }

  Client ann = connect();
  Client bob = connect();
  InodeId file = make_file(ann, "a").inode;
};

TEST_F(Locks, OfTwoSessionsExcludeEachOther) {
  EXPECT_EQ(set(ann, lock(LockKind::exclusive, 0, 10)), Errc::ok);
  EXPECT_EQ(set(bob, lock(LockKind::shared, 9, 10)), Errc::again);
  const auto found = get<LockResult>(bob, GetLockArgs{file, lock(LockKind::shared)});
  EXPECT_EQ(found.lock, lock(LockKind::exclusive, 0, 10));
  EXPECT_EQ(found.session, ann.welcome.session);
  EXPECT_EQ(set(ann, lock(LockKind::unlocked)), Errc::ok);
  EXPECT_EQ(set(bob, lock(LockKind::shared, 9, 10)), Errc::ok);
}

TEST_F(Locks, OfFilesThatAreGoneAreNotGiven) {
  file = InodeId{999};
  EXPECT_EQ(set(ann, lock(LockKind::shared)), Errc::stale);
  EXPECT_EQ(set(ann, lock(LockKind::unlocked)), Errc::ok);
}

TEST_F(Locks, AWaitIsAnsweredByWhatTheFileHasBecome) {
  add_server(1);
  EXPECT_EQ(set(ann, lock(LockKind::exclusive)), Errc::ok);
  const std::uint64_t waits = ask(bob, lock(LockKind::exclusive), true);
  EXPECT_FALSE(bob.sink->has(waits));
  EXPECT_EQ(stat(bob, kRootInode), Errc::ok) << "others of the session go on";
  write_chunk(ann, file);
  EXPECT_EQ(set(ann, lock(LockKind::unlocked)), Errc::ok);
  const auto answer = bob.sink->wait_for(waits);
  ASSERT_TRUE(answer);
  EXPECT_EQ(std::get<AttributesResult>(*answer).attributes.size, 1000u);
}

TEST_F(Locks, ADeadlockOfTwoSessionsIsTold) {
  EXPECT_EQ(set(ann, lock(LockKind::exclusive, 0, 1)), Errc::ok);
  EXPECT_EQ(set(bob, lock(LockKind::exclusive, 1, 2)), Errc::ok);
  const std::uint64_t waits = ask(ann, lock(LockKind::exclusive, 1, 2), true);
  EXPECT_EQ(error_of(bob.sink->wait_for(ask(bob, lock(LockKind::exclusive, 0, 1), true))),
            Errc::deadlock);
  EXPECT_FALSE(ann.sink->has(waits));
}

TEST_F(Locks, ACancelledWaitIsAnsweredAndNeverGranted) {
  EXPECT_EQ(set(ann, lock(LockKind::exclusive)), Errc::ok);
  const std::uint64_t waits = ask(bob, lock(LockKind::exclusive), true);
  get<EmptyResult>(bob, CancelLockArgs{waits});
  EXPECT_EQ(error_of(bob.sink->wait_for(waits)), Errc::again);
  EXPECT_EQ(set(ann, lock(LockKind::unlocked)), Errc::ok);
  EXPECT_EQ(set(ann, lock(LockKind::exclusive)), Errc::ok);
}

TEST_F(Locks, EndWithTheirSession) {
  EXPECT_EQ(set(ann, lock(LockKind::exclusive)), Errc::ok);
  const std::uint64_t waits = ask(bob, lock(LockKind::exclusive), true);
  disconnect(ann);
  EXPECT_FALSE(bob.sink->has(waits)) << "it may come back";
  clock.advance(config.session_timeout + 1ms);
  tick();
  EXPECT_EQ(error_of(bob.sink->wait_for(waits)), Errc::ok);
}

TEST_F(Locks, EndAtOnceWhenTheirSessionSaysGoodbye) {
  EXPECT_EQ(set(ann, lock(LockKind::exclusive)), Errc::ok);
  const std::uint64_t waits = ask(bob, lock(LockKind::exclusive), true);
  say_goodbye(ann);
  EXPECT_EQ(error_of(bob.sink->wait_for(waits)), Errc::ok);
}

TEST_F(Locks, AWaitWhoseStreamBreaksIsNotGranted) {
  EXPECT_EQ(set(ann, lock(LockKind::exclusive)), Errc::ok);
  ask(bob, lock(LockKind::exclusive), true);
  disconnect(bob);
  EXPECT_EQ(set(ann, lock(LockKind::unlocked)), Errc::ok);
  EXPECT_EQ(set(ann, lock(LockKind::exclusive)), Errc::ok) << "nobody has it";
}

TEST_F(Locks, AreWhatTheSessionSaysWhenItGoesOn) {
  EXPECT_EQ(set(ann, lock(LockKind::exclusive, 0, 10)), Errc::ok);
  EXPECT_EQ(set(ann, lock(LockKind::exclusive, 20, 30)), Errc::ok);
  say_again(ann, {lock(LockKind::exclusive, 0, 10)});
  EXPECT_EQ(set(bob, lock(LockKind::shared, 20, 30)), Errc::ok) << "its answer got lost";
  EXPECT_EQ(set(bob, lock(LockKind::shared, 0, 10)), Errc::again);
}

TEST_F(Locks, AfterARestartNobodyIsGivenWhatAnotherHeld) {
  EXPECT_EQ(set(ann, lock(LockKind::exclusive)), Errc::ok);
  restart();
  say_again(bob, {});
  const std::uint64_t wanted = ask(bob, lock(LockKind::exclusive));
  CoreRequest question = request(bob, GetLockArgs{file, lock(LockKind::shared)});
  const std::uint64_t asked = question.id;
  submit(bob, {question});
  EXPECT_FALSE(bob.sink->has(wanted)) << "ann has not come back";
  EXPECT_EQ(set(bob, lock(LockKind::unlocked)), Errc::ok);
  say_again(ann, {lock(LockKind::exclusive)});
  EXPECT_EQ(error_of(bob.sink->wait_for(wanted)), Errc::again);
  EXPECT_EQ(std::get<LockResult>(*bob.sink->wait_for(asked)).session, ann.welcome.session);
}

TEST_F(Locks, AfterARestartASessionThatStaysAwayIsNotWaitedForForEver) {
  EXPECT_EQ(set(ann, lock(LockKind::exclusive)), Errc::ok);
  restart();
  say_again(bob, {});
  const std::uint64_t wanted = ask(bob, lock(LockKind::exclusive));
  tick();
  EXPECT_FALSE(bob.sink->has(wanted));
  clock.advance(config.session_timeout + 1ms);
  tick();
  EXPECT_EQ(error_of(bob.sink->wait_for(wanted)), Errc::ok);
}

TEST_F(Locks, AfterARestartWhatOnlyWeakensIsDoneAtOnceAndWhatIsCancelledNever) {
  EXPECT_EQ(set(ann, lock(LockKind::exclusive)), Errc::ok);
  restart();
  say_again(bob, {lock(LockKind::exclusive, 100, 200)});
  EXPECT_EQ(set(bob, lock(LockKind::shared, 100, 150)), Errc::ok);
  const std::uint64_t wanted = ask(bob, lock(LockKind::exclusive, 300, 310));
  get<EmptyResult>(bob, CancelLockArgs{wanted});
  EXPECT_EQ(error_of(bob.sink->wait_for(wanted)), Errc::again);
  EXPECT_EQ(set(bob, lock(LockKind::unlocked, 300, 310)), Errc::ok);
  say_again(ann, {});
  EXPECT_EQ(set(ann, lock(LockKind::exclusive, 300, 310)), Errc::ok);
  EXPECT_EQ(set(ann, lock(LockKind::shared, 100, 150)), Errc::ok);
  EXPECT_EQ(set(ann, lock(LockKind::shared, 150, 200)), Errc::again);
}

TEST_F(Locks, OfASessionThatWasForgottenAreNotTakenForHeld) {
  clock.advance(1s);
  disconnect(ann);
  clock.advance(config.session_timeout + 1ms);
  tick();
  say_again(ann, {lock(LockKind::exclusive)});
  EXPECT_FALSE(ann.welcome.resumed);
  EXPECT_EQ(set(bob, lock(LockKind::exclusive)), Errc::ok);
}

TEST_F(Locks, ABatchThatIsRefusedDoesNotUndoThem) {
  log->refuse_next(Errc::no_space);
  CoreRequest locks = request(ann, SetLockArgs{file, lock(LockKind::exclusive), false, 1});
  CoreRequest makes = request(ann, CreateArgs{.parent = kRootInode, .name = "b", .mode = 0644});
  CoreRequest changes = request(ann, SetAttrArgs{.inode = file, .mode = 0600});
  submit(ann, {changes, locks, makes});
  const auto locked = ann.sink->wait_for(locks.id);
  ASSERT_TRUE(locked);
  EXPECT_EQ(std::get<AttributesResult>(*locked).attributes.mode & 0777u, 0644u)
      << "nor is told what did not happen";
  EXPECT_EQ(error_of(ann.sink->wait_for(makes.id)), Errc::no_space);
  EXPECT_EQ(set(bob, lock(LockKind::shared)), Errc::again);
}

}  // namespace
}  // namespace dfs
