#include "common/rpc/meta_session.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "common/base/clock.h"
#include "common/rpc/convert.h"
#include "common/rpc/frame.h"
#include "common/rpc/protocol.h"
#include "common/rpc/stream_server.h"
#include "tests/support/fake_clock.h"

namespace dfs {
namespace {

using namespace std::chrono_literals;

// A metadata server's memory, which outlives its process.
class FakeMeta {
 public:
  enum class Reaction { answer, keep_silent, break_connection };
  using React = std::function<Reaction(const v1::Request&)>;

  // Decides about each request; the default answers.
  void react(React react) {
    const std::lock_guard lock(mutex_);
    react_ = std::move(react);
  }
  void with(const std::function<void(FakeMeta&)>& change) {
    const std::lock_guard lock(mutex_);
    change(*this);
  }
  std::vector<v1::Request> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  std::vector<v1::Hello> hellos() const {
    const std::lock_guard lock(mutex_);
    return hellos_;
  }
  std::size_t request_count() const { return requests().size(); }

  // Guarded by with().
  std::string cluster = "home";
  std::optional<Error> refusal;
  bool forgets_sessions = false;
  std::uint64_t table_version = 1;
  std::size_t frames = 0;

  bool take(const v1::ClientFrame& frame, v1::ServerFrame& answer);
  void attach(std::shared_ptr<StreamPeer> peer) {
    const std::lock_guard lock(mutex_);
    peer_ = std::move(peer);
  }
  void push(const v1::ServerFrame& frame) {
    const std::lock_guard lock(mutex_);
    peer_->send(serialize_message(frame));
  }

 private:
  void welcome(const v1::Hello& hello, v1::ServerFrame& answer);

  mutable std::mutex mutex_;
  React react_;
  std::vector<v1::Request> requests_;
  std::vector<v1::Hello> hellos_;
  std::uint64_t sessions_ = 0;
  std::shared_ptr<StreamPeer> peer_;
};

void FakeMeta::welcome(const v1::Hello& hello, v1::ServerFrame& answer) {
  hellos_.push_back(hello);
  if (refusal) return to_proto(*refusal, *answer.mutable_error());
  v1::Welcome& welcome = *answer.mutable_welcome();
  const bool resumed = hello.session() != 0 && !forgets_sessions;
  welcome.set_cluster(cluster);
  welcome.set_session(resumed ? hello.session() : ++sessions_);
  welcome.set_session_epoch(1);
  welcome.set_resumed(resumed);
  welcome.set_chunk_size(kChunkSizeDefault);
  welcome.mutable_group_table()->set_version(table_version);
}

// False: the connection is to break.
bool FakeMeta::take(const v1::ClientFrame& frame, v1::ServerFrame& answer) {
  const std::lock_guard lock(mutex_);
  ++frames;
  if (frame.has_hello()) welcome(frame.hello(), answer);
  for (const v1::Request& request : frame.requests()) {
    requests_.push_back(request);
    const Reaction reaction = react_ ? react_(request) : Reaction::answer;
    if (reaction == Reaction::break_connection) return false;
    if (reaction == Reaction::keep_silent) continue;
    v1::Response& response = *answer.add_responses();
    response.set_id(request.id());
    if (request.has_open()) {
      response.mutable_open()->mutable_attributes()->set_inode(request.open().inode());
      response.mutable_open()->mutable_attributes()->set_type(v1::REGULAR);
    } else {
      response.mutable_empty();
    }
  }
  return true;
}

class FakeMetaHandler final : public StreamHandler {
 public:
  FakeMetaHandler(FakeMeta& meta, std::shared_ptr<StreamPeer> peer)
      : meta_(meta), peer_(std::move(peer)) {
    meta_.attach(peer_);
  }
  Reading on_message(grpc::ByteBuffer message) override {
    v1::ClientFrame frame;
    EXPECT_TRUE(parse_message(message, frame));
    v1::ServerFrame answer;
    if (!meta_.take(frame, answer)) {
      peer_->close({Errc::unavailable, "broken on purpose"});
      return Reading::pause;
    }
    if (answer.ByteSizeLong() > 0) peer_->send(serialize_message(answer));
    return Reading::go_on;
  }
  void on_end() override { meta_.attach(nullptr); }

 private:
  FakeMeta& meta_;
  const std::shared_ptr<StreamPeer> peer_;
};

class MetaSessionTest : public testing::Test {
 protected:
  using Reaction = FakeMeta::Reaction;

  void start(const std::string& address = "127.0.0.1:0") {
    StreamServer::Options options;
    options.listen_address = address;
    auto server = StreamServer::start(
        options, {{"/dfs.v1.MetaService/Session", [this](std::shared_ptr<StreamPeer> peer) {
                     return std::make_unique<FakeMetaHandler>(meta_, std::move(peer));
                   }}});
    ASSERT_TRUE(server) << server.error().to_string();
    server_ = std::move(*server);
    address_ = server_->address();
  }
  void stop() { server_.reset(); }

  Result<std::unique_ptr<MetaSession>> try_connect(MetaSession::Options options = {}) {
    if (options.address.empty()) options.address = address_;
    options.program = "test";
    return MetaSession::connect(std::move(options), clock_);
  }
  std::unique_ptr<MetaSession> connect(MetaSession::Options options = {}) {
    auto session = try_connect(std::move(options));
    EXPECT_TRUE(session) << session.error().to_string();
    return session ? std::move(*session) : nullptr;
  }
  // How many times a request with this sequence has arrived.
  int arrivals(std::uint64_t sequence) const {
    int count = 0;
    for (const v1::Request& request : meta_.requests()) count += request.sequence() == sequence;
    return count;
  }

  const MetaArgs read_ = GetAttrArgs{InodeId{1}};
  const MetaArgs write_ = UnlinkArgs{InodeId{1}, "a"};
  SystemClock clock_;
  FakeMeta meta_;
  std::unique_ptr<StreamServer> server_;
  std::string address_;
};

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
