// What storage servers are told of sessions, against a whole core.
#include "tests/unit/server/meta/core/core_fixture.h"

namespace dfs {
namespace {

using namespace std::chrono_literals;

class SessionRollTest : public CoreTest {
 protected:
  // As a storage server that was told `mark` asks; null: nothing is new.
  LiveSessionsPtr ask(std::uint64_t mark = 0) {
    HeartbeatArgs args;
    args.server = server_;
    args.identity = "identity-1";
    args.sessions_mark = mark;
    return heartbeat(std::move(args)).value().sessions;
  }
  LiveSessionsPtr newest() {
    tick();
    return ask();
  }
  bool has_ended(const Client& client) { return newest()->has_ended(client.welcome.session); }
  void time_out(const Client& client) {
    disconnect(client);
    clock.advance(config.session_timeout + 1ms);
  }
  // Is there, whatever the clock says.
  Client stay() {
    Client client = connect();
    tick();
    return client;
  }
  const ServerId server_ = add_server(1);
};

TEST_F(SessionRollTest, NamesWhoTimedOutAndNobodyElse) {
  const Client gone = connect();
  const Client here = connect();
  EXPECT_FALSE(has_ended(gone));
  time_out(gone);
  EXPECT_TRUE(has_ended(gone));
  EXPECT_FALSE(has_ended(here));
  EXPECT_FALSE(newest()->has_ended(SessionId{})) << "who has no session";
}

TEST_F(SessionRollTest, NamesWhoSaidGoodbye) {
  const Client gone = connect();
  say_goodbye(gone);
  EXPECT_TRUE(has_ended(gone));
}

TEST_F(SessionRollTest, NamesNobodyWhoMayStillComeBack) {
  const Client away = connect();
  disconnect(away);
  clock.advance(config.session_timeout);
  EXPECT_FALSE(has_ended(away));
  restart();
  EXPECT_FALSE(has_ended(away));
}

TEST_F(SessionRollTest, SaysNothingOfSessionsThatCameAfterItWasMade) {
  const LiveSessionsPtr old = newest();
  const Client fresh = connect();
  EXPECT_FALSE(old->has_ended(fresh.welcome.session));
  EXPECT_FALSE(newest()->has_ended(fresh.welcome.session));
}

TEST_F(SessionRollTest, IsToldOnceAndAgainWhenItChanges) {
  const Client one = stay();
  const LiveSessionsPtr first = newest();
  EXPECT_EQ(ask(first->mark), nullptr);
  const Client two = stay();
  const LiveSessionsPtr second = ask(first->mark);
  ASSERT_NE(second, nullptr);
  say_goodbye(one);
  tick();
  const LiveSessionsPtr third = ask(second->mark);
  ASSERT_NE(third, nullptr);
  EXPECT_TRUE(third->has_ended(one.welcome.session));
  EXPECT_EQ(ask(third->mark), nullptr);
}

TEST_F(SessionRollTest, SaysTheSameAfterARestart) {
  const Client gone = connect();
  const Client here = connect();
  time_out(gone);
  EXPECT_TRUE(newest()->has_ended(gone.welcome.session));
  restart();
  const LiveSessionsPtr after = newest();
  EXPECT_EQ(ask(after->mark), nullptr) << "nothing new for who knows it";
  EXPECT_TRUE(ask()->has_ended(gone.welcome.session)) << "and all of it for who does not";
  EXPECT_FALSE(ask()->has_ended(here.welcome.session));
}

TEST_F(SessionRollTest, IsToldToWhoRegisters) {
  const Client gone = connect();
  say_goodbye(gone);
  tick();
  const auto registered = register_server(fresh_server(2));
  ASSERT_TRUE(registered && registered->sessions);
  EXPECT_TRUE(registered->sessions->has_ended(gone.welcome.session));
}

// What it held may be another's before it has let go of everything.
TEST_F(SessionRollTest, NamesASessionFromTheMomentItBeginsToEnd) {
  Client gone = connect();
  std::vector<InodeId> many;
  for (std::uint64_t inode = 100; inode < 10'100; ++inode) many.emplace_back(inode);
  reconnect(gone, many);
  time_out(gone);
  EXPECT_TRUE(core->tick()) << "there is more to let go of";
  EXPECT_TRUE(ask()->has_ended(gone.welcome.session));
}

}  // namespace
}  // namespace dfs
