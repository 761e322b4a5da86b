// What others act on for good is told once it survives power loss.
#include <future>
#include <set>
#include <thread>

#include "server/meta/sessions/reply_window.h"
#include "tests/unit/server/meta/core/lease_fixture.h"

namespace dfs {
namespace {

class StableAnswers : public CoreTest {
 protected:
  // Runs the job that `make(reply)` makes while the log cannot be made stable; whether
  // it was answered all the same.
  template <typename R, typename Make>
  bool is_answered_before_the_sync(Make&& make) {
    const auto answered = std::make_shared<std::promise<Result<R>>>();
    std::future<Result<R>> answer = answered->get_future();
    const int syncs = log->syncs_begun();
    log->shut();
    std::thread asks([&] {
      core->run(make([answered](Result<R> result) { answered->set_value(std::move(result)); }));
    });
    log->wait_for_syncs_begun(syncs + 1);
    const bool early = answer.wait_for(std::chrono::seconds{0}) == std::future_status::ready;
    log->open();
    asks.join();
    EXPECT_EQ(answer.wait_for(kPatience), std::future_status::ready);
    return early;
  }
};

TEST_F(StableAnswers, TellAStorageServerWhatItHasBecome) {
  EXPECT_FALSE(is_answered_before_the_sync<RegisterResult>(
      [](auto reply) { return make_register_job(fresh_server(1), std::move(reply)); }));
  lose_power();
  RegisterArgs again = fresh_server(1);
  again.server = ServerId{1};
  EXPECT_TRUE(register_server(again));
}

TEST_F(StableAnswers, TellWhichChunksAreToBeDeleted) {
  add_server(1);
  Client client = connect();
  const Attributes file = make_file(client, "a");
  const Extent extent = write_chunk(client, file.inode, true);
  EXPECT_EQ(unlink(client, "a"), Errc::ok);
  clock.advance(config.orphan_grace);
  tick();
  HeartbeatArgs args;
  args.server = ServerId{1};
  args.identity = "identity-1";
  std::vector<ChunkId> told;
  EXPECT_FALSE(is_answered_before_the_sync<HeartbeatResult>([&](auto reply) {
    return make_heartbeat_job(args, [&told, reply](Result<HeartbeatResult> result) {
      if (result) told = result->to_delete;
      reply(std::move(result));
    });
  }));
  EXPECT_EQ(told, std::vector<ChunkId>{extent.chunk});
  lose_power();
  Client other = connect();
  EXPECT_EQ(look(other, "a"), Errc::not_found);
}

TEST_F(StableAnswers, GiveIdsOfChunks) {
  add_server(1);
  Client client = connect();
  const auto first = get<AllocateResult>(client, AllocateArgs{.inode = kRootInode});
  lose_power();
  register_server(fresh_server(1)).value();
  Client other = connect();
  const auto second = get<AllocateResult>(other, AllocateArgs{.inode = kRootInode});
  EXPECT_NE(first.ranges.front().first, second.ranges.front().first);
}

TEST_F(StableAnswers, NeedNotComeForNamesOfInodesThatAreNotGivenAgain) {
  Client client = connect();
  const Attributes lost = make_file(client, "a");
  lose_power();
  Client other = connect();
  EXPECT_EQ(look(other, "a"), Errc::not_found);
  const Attributes made = make_file(other, "b");
  EXPECT_NE(made.inode, lost.inode);
  EXPECT_NE(made.generation, lost.generation);
}

TEST_F(StableAnswers, NeedNotComeForNamesOfInodesHoweverOftenThePowerFails) {
  std::set<InodeId> given;
  for (int life = 0; life < 5; ++life) {
    Client client = connect();
    EXPECT_TRUE(given.insert(make_file(client, "a").inode).second);
    lose_power();
  }
}

TEST_F(StableAnswers, NeedNotComeForSessionsThatAreNotGivenAgain) {
  Client lost = connect();
  lose_power();
  const Client other = connect();
  EXPECT_NE(other.welcome.session, lost.welcome.session);
  reconnect(lost);
  EXPECT_FALSE(lost.welcome.resumed);
  EXPECT_NE(other.welcome.session, lost.welcome.session);
}

// What a session was told and power loss took, it would go on to build upon.
TEST_F(StableAnswers, ThatWereNoneEndTheSessionThatHadThem) {
  Client client = connect();
  make_file(client, "kept");
  get<EmptyResult>(client, SyncArgs{});
  const auto go_on = [&](Sequence succeeded) {
    client.sink = std::make_shared<RecordingSink>();
    return hello({.session = client.welcome.session,
                  .epoch = client.welcome.epoch,
                  .succeeded = succeeded,
                  .program = "test"},
                 client.sink)
        .value();
  };
  lose_power();
  client.welcome = go_on(Sequence{1});
  EXPECT_TRUE(client.welcome.resumed);
  make_file(client, "lost");
  restart();
  client.welcome = go_on(Sequence{2});
  EXPECT_TRUE(client.welcome.resumed);
  make_file(client, "lost too");
  lose_power();
  EXPECT_FALSE(go_on(Sequence{3}).resumed);
}

// One that waits for a lease happens after those that were sent later, and so it is
// lost alone.
class StableAnswersOutOfOrder : public LeaseCoreTest {
 protected:
  // A create of `ann` waits while her next change is made and synced; then it is
  // answered, and the sync does not reach it.
  void lose_what_waited() {
    get<ReadDirResult>(bob, ReadDirArgs{kRootInode});
    const std::uint64_t waits = ask(ann, CreateArgs{.parent = kRootInode, .name = "lost"});
    EXPECT_EQ(error_of(call(ann, chmod(kept.inode))), Errc::ok);
    get<EmptyResult>(ann, SyncArgs{});
    EXPECT_FALSE(ann.sink->has(waits));
    EXPECT_EQ(answer_recalls(bob), 1u);
    EXPECT_TRUE(ann.sink->has(waits));
  }
  bool goes_on() {
    const HelloArgs again{.session = ann.welcome.session,
                          .epoch = ann.welcome.epoch,
                          .succeeded = Sequence{ann.next_sequence - 1},
                          .changes_told = ann.sink->changes_told(),
                          .program = "test"};
    ann.sink = std::make_shared<RecordingSink>();
    ann.welcome = hello(again, ann.sink).value();
    return ann.welcome.resumed;
  }

  Client ann = connect_for_leases();
  Client bob = connect_for_leases();
  Attributes kept = make_file(ann, "kept");
};

TEST_F(StableAnswersOutOfOrder, ThatWereNoneEndTheSessionWhateverItsSequences) {
  lose_what_waited();
  lose_power();
  EXPECT_FALSE(goes_on());
}

TEST_F(StableAnswersOutOfOrder, ThatAreThereEndNoSession) {
  lose_what_waited();
  ann.answered = ann.next_sequence - 1;
  make_file(ann, "another");
  restart();
  EXPECT_TRUE(goes_on());
  come(bob, {});
  // Nor do those that are not kept any more.
  ann.answered = ann.next_sequence - 1;
  make_file(ann, "one more");
  get<EmptyResult>(ann, SyncArgs{});
  lose_power();
  EXPECT_TRUE(goes_on());
}

TEST(ReplyWindow, KeepsTheLastChangeAndTheLargestSequence) {
  ReplyWindow window;
  window.add(Sequence{1}, 1);
  window.add(Sequence{3}, 2);
  window.add(Sequence{4}, 3);
  window.add(Sequence{2}, 4);
  window.acknowledge(Sequence{4});
  EXPECT_EQ(window.acknowledged(10), (std::vector{Sequence{1}, Sequence{3}}));
  EXPECT_EQ(window.changes(), 4u);
  window.remove(Sequence{2});
  EXPECT_EQ(window.changes(), 3u) << "it was taken back";
}

}  // namespace
}  // namespace dfs
