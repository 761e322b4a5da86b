// Callers who leave before their answer, and sessions that end.
#include <thread>

#include "tests/unit/common/rpc/meta_session_fixture.h"

namespace dfs {
namespace {

using namespace std::chrono_literals;

TEST_F(MetaSessionTest, ACallThroughThatIsAnsweredInTimeHasNoLateAnswer) {
  start();
  LateTakes late;
  auto session = connect();
  Interrupt interrupt;
  EXPECT_TRUE(session->call_through(write_, {}, &interrupt, late.taker()));
  session.reset();
  EXPECT_TRUE(late.answers().empty());
}

TEST_F(MetaSessionTest, AnInterruptedCallThroughKeepsItsPlaceWhileTheServerIsAway) {
  start();
  LateTakes late;
  const auto session = connect();
  stop();
  EXPECT_EQ(call_impatiently(*session, write_, late.taker()), Errc::interrupted);
  std::thread next([&] {
    EXPECT_TRUE(session->call(UnlinkArgs{InodeId{1}, "b"}, {}, nullptr));
  });
  start(address_);
  next.join();
  EXPECT_EQ(late.wait_for(1), std::vector<Errc>{Errc::ok});
  const auto requests = meta_.requests();
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(requests[0].unlink().name(), "a");
  EXPECT_EQ(requests[0].sequence(), 1u);
  EXPECT_EQ(requests[1].sequence(), 2u);
}

TEST_F(MetaSessionTest, AnInterruptedCallThroughIsRepeatedAndAnsweredOnce) {
  start();
  LateTakes late;
  auto session = connect();
  meta_.react([](const v1::Request&) { return Reaction::keep_silent; });
  Interrupt interrupt;
  std::thread caller([&] {
    const auto result = session->call_through(write_, {}, &interrupt, late.taker());
    EXPECT_EQ(result.error().code, Errc::interrupted);
  });
  while (arrivals(1) < 1) std::this_thread::yield();
  interrupt.interrupt();
  caller.join();
  stop();
  meta_.react(nullptr);
  start(address_);
  EXPECT_EQ(late.wait_for(1), std::vector<Errc>{Errc::ok});
  EXPECT_EQ(arrivals(1), 2);
  session.reset();
  EXPECT_EQ(late.answers().size(), 1u);
}

TEST_F(MetaSessionTest, AnInterruptedCallThroughTakesItsPlaceBeyondTheLimitToo) {
  start();
  LateTakes late;
  MetaSession::Options options;
  options.unanswered_max = 1;
  auto session = connect(options);
  stop();
  EXPECT_EQ(call_impatiently(*session, write_, late.taker()), Errc::interrupted);
  EXPECT_EQ(call_impatiently(*session, write_, late.taker()), Errc::interrupted);
  start(address_);
  EXPECT_EQ(late.wait_for(2), (std::vector<Errc>{Errc::ok, Errc::ok}));
}

TEST_F(MetaSessionTest, TheEndOfASessionAnswersEveryLateCallOnAThreadOfItsOwn) {
  start();
  LateTakes late;
  auto session = connect();
  meta_.react([](const v1::Request&) { return Reaction::keep_silent; });
  EXPECT_EQ(call_impatiently(*session, write_, late.taker()), Errc::interrupted);
  while (arrivals(1) < 1) std::this_thread::yield();
  stop();
  EXPECT_EQ(call_impatiently(*session, write_, late.taker()), Errc::interrupted);
  session->end();
  EXPECT_EQ(late.answers(), (std::vector<Errc>{Errc::session_lost, Errc::session_lost}));
  EXPECT_FALSE(late.any_on(std::this_thread::get_id()));
  EXPECT_EQ(call_impatiently(*session, write_, late.taker()), Errc::session_lost);
  EXPECT_EQ(session->call(read_, {}, nullptr).error().code, Errc::session_lost);
  session.reset();
  EXPECT_EQ(late.answers().size(), 2u);
}

TEST_F(MetaSessionTest, ALateAnswerIsAnErrorWhenTheServerForgotTheSession) {
  start();
  LateTakes late;
  const auto session = connect();
  meta_.react([](const v1::Request&) { return Reaction::keep_silent; });
  EXPECT_EQ(call_impatiently(*session, write_, late.taker()), Errc::interrupted);
  while (arrivals(1) < 1) std::this_thread::yield();
  meta_.with([](FakeMeta& meta) { meta.forgets_sessions = true; });
  stop();
  start(address_);
  EXPECT_EQ(late.wait_for(1), std::vector<Errc>{Errc::session_lost});
}

TEST_F(MetaSessionTest, ACallThatNobodyWaitsForIsRepeatedUntilItIsAnswered) {
  start();
  LateTakes late;
  MetaSession::Options options;
  options.soft_timeout = 1ms;
  const auto session = connect(options);
  meta_.react([](const v1::Request&) { return Reaction::keep_silent; });
  const SetLockArgs waits{InodeId{1}, FileLock{}, true, 5};
  EXPECT_TRUE(session->call_later(waits, {}, late.taker()));
  while (meta_.request_count() < 1) std::this_thread::yield();
  stop();
  EXPECT_EQ(session->call(read_, {}, nullptr).error().code, Errc::timed_out);
  EXPECT_TRUE(late.answers().empty()) << "others' patience is none of its";
  meta_.react(nullptr);
  start(address_);
  EXPECT_EQ(late.wait_for(1), std::vector<Errc>{Errc::ok});
}

TEST_F(MetaSessionTest, TheEndOfASessionAnswersACallThatNobodyWaitsFor) {
  start();
  LateTakes late;
  auto session = connect();
  meta_.react([](const v1::Request&) { return Reaction::keep_silent; });
  EXPECT_TRUE(session->call_later(read_, {}, late.taker()));
  session.reset();
  EXPECT_EQ(late.answers(), std::vector<Errc>{Errc::session_lost});
  EXPECT_FALSE(late.any_on(std::this_thread::get_id()));
}

TEST_F(MetaSessionTest, SaysItsLocksWhenItGoesOn) {
  start();
  FileLock lock;
  lock.owner = 77;
  MetaSession::Options options;
  options.locks = [&] { return std::vector<HeldLock>{{InodeId{7}, lock}}; };
  const auto session = connect(options);
  stop();
  start(address_);
  EXPECT_TRUE(session->call(read_, {}, nullptr));
  ASSERT_EQ(meta_.hellos().size(), 2u);
  EXPECT_EQ(meta_.hellos()[0].locks_size(), 0);
  ASSERT_EQ(meta_.hellos()[1].locks_size(), 1);
  EXPECT_EQ(meta_.hellos()[1].locks(0).lock().owner(), 77u);
}

TEST_F(MetaSessionTest, SaysGoodbyeAfterEverythingThatWasPosted) {
  start();
  auto session = connect();
  constexpr std::size_t kPosts = 3 * kRequestsPerFrameMax;
  for (std::size_t i = 0; i < kPosts; ++i) session->post(ReleaseArgs{InodeId{9}, 1});
  session.reset();
  EXPECT_EQ(meta_.request_count(), kPosts);
  meta_.with([&](FakeMeta& meta) {
    EXPECT_EQ(meta.goodbyes, 1u);
    EXPECT_EQ(meta.requests_before_goodbye, kPosts);
  });
}

TEST_F(MetaSessionTest, EndsAlthoughNobodyHearsItsGoodbye) {
  start();
  meta_.with([](FakeMeta& meta) { meta.hears_goodbyes = false; });
  auto session = connect();
  session.reset();
  meta_.with([](FakeMeta& meta) { EXPECT_EQ(meta.goodbyes, 1u); });
}

}  // namespace
}  // namespace dfs
