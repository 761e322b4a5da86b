#include <fmt/format.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "tests/support/fake_clock.h"
#include "tests/unit/common/rpc/meta_session_fixture.h"

namespace dfs {
namespace {

using namespace std::chrono_literals;

TEST_F(MetaSessionTest, CarriesCallsAndTheirAnswers) {
  start();
  const auto session = connect();
  EXPECT_EQ(session->cluster(), "home");
  EXPECT_EQ(session->session(), SessionId{1});
  EXPECT_EQ(session->default_chunk_size(), kChunkSizeDefault);
  const auto result = session->call(write_, {5, 6}, nullptr);
  ASSERT_TRUE(result) << result.error().to_string();
  EXPECT_TRUE(std::holds_alternative<EmptyResult>(*result));
  const auto requests = meta_.requests();
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(requests[0].uid(), 5u);
  EXPECT_EQ(requests[0].gid(), 6u);
  EXPECT_EQ(requests[0].sequence(), 1u);
}

TEST_F(MetaSessionTest, CombinesTheRequestsOfManyCallers) {
  start();
  const auto session = connect();
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&] {
      for (int round = 0; round < 500; ++round) EXPECT_TRUE(session->call(read_, {}, nullptr));
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(meta_.request_count(), 4000u);
}

TEST_F(MetaSessionTest, RepeatsAfterALostReplyWithTheSameSequence) {
  start();
  const auto session = connect();
  std::atomic<int> seen{0};
  meta_.react([&](const v1::Request&) {
    return ++seen == 1 ? Reaction::break_connection : Reaction::answer;
  });
  EXPECT_TRUE(session->call(write_, {}, nullptr));
  EXPECT_EQ(arrivals(1), 2);
  EXPECT_TRUE(session->call(write_, {}, nullptr));
  EXPECT_EQ(arrivals(2), 1);
  EXPECT_EQ(meta_.hellos().back().session(), session->session().value());
}

TEST_F(MetaSessionTest, GoesOnWhenTheServerIsRestarted) {
  start();
  const auto session = connect();
  ASSERT_TRUE(session->call(write_, {}, nullptr));
  stop();
  std::thread caller([&] { EXPECT_TRUE(session->call(write_, {}, nullptr)); });
  start(address_);
  caller.join();
  EXPECT_EQ(arrivals(2), 1);
}

TEST_F(MetaSessionTest, AnInterruptEndsACallWhileTheServerIsAway) {
  start();
  const auto session = connect();
  stop();
  Interrupt interrupt;
  std::thread caller([&] {
    const auto result = session->call(read_, {}, &interrupt);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Errc::interrupted);
  });
  interrupt.interrupt();
  caller.join();
  start(address_);
  EXPECT_TRUE(session->call(write_, {}, nullptr));
  EXPECT_EQ(arrivals(1), 1);
}

TEST_F(MetaSessionTest, AnInterruptEndsACallThatTheServerDoesNotAnswer) {
  start();
  const auto session = connect();
  meta_.react([&](const v1::Request&) { return Reaction::keep_silent; });
  Interrupt interrupt;
  std::thread caller([&] {
    EXPECT_EQ(session->call(write_, {}, &interrupt).error().code, Errc::interrupted);
  });
  while (meta_.request_count() < 1) std::this_thread::yield();
  interrupt.interrupt();
  caller.join();
}

TEST_F(MetaSessionTest, ASoftSessionGivesUpInTimeAndNamesTheAddress) {
  start();
  MetaSession::Options options;
  options.soft_timeout = 100ms;
  const auto session = connect(options);
  stop();
  const auto result = session->call(read_, {}, nullptr);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::timed_out);
  EXPECT_NE(result.error().text.find(address_), std::string::npos) << result.error().text;
}

TEST_F(MetaSessionTest, SaysThatNobodyAnswersAndWhere) {
  start();
  stop();
  const auto session = try_connect();
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error().code, Errc::unavailable);
  EXPECT_EQ(session.error().text,
            "no metadata server answers at " + address_ + ": Connection refused");
}

TEST_F(MetaSessionTest, TriesForAsLongAsItIsToldTo) {
  start();
  stop();
  MetaSession::Options options;
  options.connect_timeout = 30s;
  std::thread late([&] { start(address_); });
  EXPECT_TRUE(try_connect(options));
  late.join();
}

TEST_F(MetaSessionTest, RefusesWhatIsNoAddress) {
  MetaSession::Options options;
  options.address = "nowhere";
  EXPECT_EQ(try_connect(options).error().code, Errc::invalid);
}

TEST_F(MetaSessionTest, EndsForGoodAtAServerOfAnotherVersion) {
  start();
  const auto session = connect();
  meta_.with([](FakeMeta& meta) { meta.refusal = Error{Errc::wrong_version, "I speak 2"}; });
  stop();
  start(address_);
  const auto result = session->call(read_, {}, nullptr);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::wrong_version);
  EXPECT_NE(result.error().text.find("I speak 2"), std::string::npos);
  EXPECT_EQ(session->call(read_, {}, nullptr).error().code, Errc::wrong_version);
  EXPECT_EQ(try_connect().error().code, Errc::wrong_version);
}

TEST_F(MetaSessionTest, RefusesAServerThatWelcomesItInAnotherVersion) {
  meta_.with([](FakeMeta& meta) { meta.protocol_version = kProtocolVersion + 1; });
  start();
  MetaSession::Options options;
  options.connect_timeout = 30s;  // it is not tried again
  const auto refused = try_connect(options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::wrong_version);
  EXPECT_EQ(refused.error().text,
            fmt::format("the metadata server at {} speaks version {} of the protocol, this program "
                        "version {}",
                        address_, kProtocolVersion + 1, kProtocolVersion));
  EXPECT_EQ(meta_.hellos().size(), 1u);
}

TEST_F(MetaSessionTest, TakesAWelcomeThatDoesNotNameAVersion) {
  meta_.with([](FakeMeta& meta) { meta.protocol_version = 0; });
  start();
  EXPECT_TRUE(try_connect());
}

TEST_F(MetaSessionTest, RefusesAServerOfAnotherCluster) {
  start();
  MetaSession::Options options;
  options.cluster = "elsewhere";
  const auto session = try_connect(options);
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error().code, Errc::wrong_cluster);
  EXPECT_NE(session.error().text.find("home"), std::string::npos);
}

TEST_F(MetaSessionTest, ReportsMutationsInDoubtWhenTheSessionIsLost) {
  start();
  std::atomic<std::uint64_t> new_session{0};
  MetaSession::Options options;
  options.held = [] { return std::vector<InodeId>{InodeId{7}, InodeId{7}}; };
  options.on_new_session = [&](SessionId session) { new_session = session.value(); };
  const auto session = connect(options);
  meta_.with([](FakeMeta& meta) { meta.forgets_sessions = true; });
  std::atomic<int> seen{0};
  meta_.react([&](const v1::Request&) {
    return ++seen == 1 ? Reaction::break_connection : Reaction::answer;
  });
  EXPECT_EQ(session->call(write_, {}, nullptr).error().code, Errc::session_lost);
  EXPECT_EQ(new_session, 2u);
  EXPECT_EQ(session->session(), SessionId{2});
  EXPECT_EQ(meta_.hellos().back().held_size(), 2);
  EXPECT_TRUE(session->call(write_, {}, nullptr));
  EXPECT_EQ(meta_.requests().back().sequence(), 1u) << "a new session counts anew";
}

TEST_F(MetaSessionTest, SendsNoCommitUnderASessionThatItWasNotMadeFor) {
  start();
  MetaSession* known = nullptr;
  SessionId told_while_heard;
  MetaSession::Options options;
  options.on_new_session = [&](SessionId) { told_while_heard = known->session(); };
  const auto session = connect(options);
  known = session.get();
  CommitArgs commit;
  commit.session = session->session();
  meta_.with([](FakeMeta& meta) { meta.forgets_sessions = true; });
  std::atomic<int> seen{0};
  meta_.react([&](const v1::Request&) {
    return ++seen == 1 ? Reaction::break_connection : Reaction::answer;
  });
  EXPECT_EQ(session->call(write_, {}, nullptr).error().code, Errc::session_lost);
  EXPECT_EQ(told_while_heard, SessionId{1}) << "who hears of the next has to have marked what it has";

  EXPECT_EQ(session->call(commit, {}, nullptr).error().code, Errc::session_lost);
  EXPECT_EQ(seen, 1);
  commit.session = session->session();
  EXPECT_TRUE(session->call(commit, {}, nullptr));
  commit.session = {};
  EXPECT_TRUE(session->call(commit, {}, nullptr));
}

TEST_F(MetaSessionTest, ReleasesWhatAnAbandonedOpenHolds) {
  start();
  const auto session = connect();
  std::atomic<std::uint64_t> open_id{0};
  meta_.react([&](const v1::Request& request) {
    if (!request.has_open()) return Reaction::answer;
    open_id = request.id();
    return Reaction::keep_silent;
  });
  Interrupt interrupt;
  std::thread caller([&] {
    EXPECT_FALSE(session->call(OpenArgs{InodeId{9}, false}, {}, &interrupt));
  });
  while (open_id == 0) std::this_thread::yield();
  interrupt.interrupt();
  caller.join();

  v1::ServerFrame late;
  late.add_responses()->set_id(open_id);
  v1::Attributes& attributes =
      *late.mutable_responses(0)->mutable_open()->mutable_attributes();
  attributes.set_inode(9);
  attributes.set_type(v1::REGULAR);
  meta_.push(late);
  while (meta_.request_count() < 2) std::this_thread::yield();
  EXPECT_EQ(meta_.requests().back().release().inode(), 9u);
}

TEST_F(MetaSessionTest, TakesOverNewerGroupTablesOnly) {
  start();
  std::atomic<std::uint64_t> pushed{0};
  MetaSession::Options options;
  options.on_group_table = [&](const GroupTablePtr& table) { pushed = table->version; };
  const auto session = connect(options);
  EXPECT_EQ(session->group_table()->version, 1u);
  v1::ServerFrame frame;
  frame.mutable_group_table()->set_version(5);
  meta_.push(frame);
  while (pushed != 5) std::this_thread::yield();
  frame.mutable_group_table()->set_version(4);
  meta_.push(frame);
  ASSERT_TRUE(session->call(read_, {}, nullptr));
  EXPECT_EQ(session->group_table()->version, 5u);
}

TEST_F(MetaSessionTest, CallersBeyondTheLimitWaitForRoom) {
  start();
  MetaSession::Options options;
  options.unanswered_max = 2;
  const auto session = connect(options);
  std::mutex mutex;
  std::vector<std::uint64_t> silent;
  meta_.react([&](const v1::Request& request) {
    const std::lock_guard lock(mutex);
    silent.push_back(request.id());
    return Reaction::keep_silent;
  });
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i)
    threads.emplace_back([&] { EXPECT_TRUE(session->call(read_, {}, nullptr)); });
  while (meta_.request_count() < 2) std::this_thread::yield();
  Interrupt interrupt;
  interrupt.interrupt();
  EXPECT_EQ(session->call(read_, {}, &interrupt).error().code, Errc::interrupted);
  EXPECT_EQ(meta_.request_count(), 2u) << "the third one was not sent";
  v1::ServerFrame answers;
  for (const std::uint64_t id : silent) {
    answers.add_responses()->set_id(id);
    answers.mutable_responses(answers.responses_size() - 1)->mutable_empty();
  }
  meta_.push(answers);
  for (std::thread& thread : threads) thread.join();
}

TEST_F(MetaSessionTest, SaysSomethingNowAndThen) {
  start();
  FakeClock clock;
  MetaSession::Options options;
  options.address = address_;
  const auto session = MetaSession::connect(options, clock);
  ASSERT_TRUE(session);
  clock.advance(options.keep_alive_interval);
  while (meta_.request_count() < 1) std::this_thread::yield();
  EXPECT_TRUE(meta_.requests()[0].has_keep_alive());
}

TEST_F(MetaSessionTest, SurvivesGarbageFromTheServer) {
  start();
  const auto session = connect();
  v1::ServerFrame stranger;
  stranger.add_responses()->set_id(12345);
  meta_.push(stranger);
  EXPECT_TRUE(session->call(read_, {}, nullptr));
  meta_.react([](const v1::Request& request) {
    return request.has_unlink() ? Reaction::keep_silent : Reaction::answer;
  });
  std::thread caller([&] {
    EXPECT_EQ(session->call(write_, {}, nullptr).error().code, Errc::bad_message);
  });
  while (arrivals(1) < 1) std::this_thread::yield();
  v1::ServerFrame empty_answer;
  empty_answer.add_responses()->set_id(meta_.requests().back().id());
  meta_.push(empty_answer);
  caller.join();
}

}  // namespace
}  // namespace dfs
