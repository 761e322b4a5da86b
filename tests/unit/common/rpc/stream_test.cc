// StreamServer, StreamClient and the completion loop together, in one process.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "common/base/address.h"
#include "common/base/executor.h"
#include "common/base/unique_fd.h"
#include "common/rpc/channels.h"
#include "common/rpc/completion_loop.h"
#include "common/rpc/frame.h"
#include "common/rpc/grpc_status.h"
#include "common/rpc/handler.h"
#include "common/rpc/stream_client.h"
#include "common/rpc/stream_server.h"
#include "dfs/v1/error.pb.h"
#include "tests/support/no_free_descriptor.h"

namespace dfs {
namespace {

using namespace std::chrono_literals;

grpc::ByteBuffer message_of(const std::string& text) {
  const grpc::Slice slice(text);
  return {&slice, 1};
}
std::string text_of(const grpc::ByteBuffer& message) {
  std::vector<grpc::Slice> slices;
  EXPECT_TRUE(message.Dump(&slices).ok());
  std::string text;
  for (const grpc::Slice& slice : slices)
    text.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return text;
}

// Sends what it is told and keeps what comes.
class Caller final : public StreamUser {
 public:
  Caller(const std::string& address, const std::string& method)
      : loop_(CompletionLoop::shared()),
        stream_(StreamClient::open(loop_, make_channel(dial_target(address)), method, *this)) {}
  ~Caller() {
    stream_->cancel();
    wait([&] { return ended.load(); });
  }

  void send(std::string text) {
    {
      const std::lock_guard lock(mutex_);
      to_send_.push_back(std::move(text));
    }
    stream_->poke();
  }
  WaitEnd wait(const std::function<bool()>& finished, Interrupt* interrupt = nullptr) {
    return loop_->wait_until(finished, std::chrono::steady_clock::now() + 30s, interrupt);
  }
  std::vector<std::string> received() const {
    const std::lock_guard lock(mutex_);
    return received_;
  }
  Error end_error() const {
    const std::lock_guard lock(mutex_);
    return error_;
  }
  CompletionLoop& loop() { return *loop_; }

  std::atomic<std::size_t> received_count{0};
  std::atomic<bool> ended{false};

 private:
  bool next_message(grpc::ByteBuffer& message) override {
    const std::lock_guard lock(mutex_);
    if (to_send_.empty()) return false;
    message = message_of(to_send_.front());
    to_send_.pop_front();
    return true;
  }
  void on_message(grpc::ByteBuffer message) override {
    const std::lock_guard lock(mutex_);
    received_.push_back(text_of(message));
    received_count.store(received_.size());
  }
  void on_end(Error why) override {
    {
      const std::lock_guard lock(mutex_);
      error_ = std::move(why);
    }
    ended.store(true);
  }

  const std::shared_ptr<CompletionLoop> loop_;
  mutable std::mutex mutex_;
  std::deque<std::string> to_send_;
  std::vector<std::string> received_;
  Error error_;
  const std::shared_ptr<StreamClient> stream_;
};

// What the server's side has seen, for the tests to look at.
struct Seen {
  std::atomic<int> begun{0};
  std::atomic<int> ended{0};
  std::atomic<int> messages{0};
  std::mutex mutex;
  std::shared_ptr<StreamPeer> peer;
};

// Answers each message with itself; some messages are orders.
class Echo final : public StreamHandler {
 public:
  Echo(Seen& seen, std::shared_ptr<StreamPeer> peer) : seen_(seen), peer_(std::move(peer)) {
    ++seen_.begun;
    const std::lock_guard lock(seen_.mutex);
    seen_.peer = peer_;
  }
  Reading on_message(grpc::ByteBuffer message) override {
    ++seen_.messages;
    const std::string text = text_of(message);
    if (text == "refuse") peer_->close({Errc::stale_epoch, "as you wished"});
    if (text == "flood")
      while (peer_->send(message_of(std::string(1 << 20, 'f')))) continue;
    if (text == "pause") return Reading::pause;
    peer_->send(std::move(message));
    return Reading::go_on;
  }
  void on_end() override {
    ++seen_.ended;
    const std::lock_guard lock(seen_.mutex);
    seen_.peer.reset();
  }

 private:
  Seen& seen_;
  const std::shared_ptr<StreamPeer> peer_;
};

// A connection of a program that says nothing. Its descriptor is there before it connects.
class RawConnection {
 public:
  enum class Heard { nothing, bytes, end };

  void connect(const std::string& address) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.sin_port = htons(parse_address(address)->port);
    ASSERT_EQ(::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at), 0);
  }
  Heard hear(std::chrono::milliseconds limit) {
    pollfd event{.fd = socket_.get(), .events = POLLIN, .revents = 0};
    if (::poll(&event, 1, static_cast<int>(limit.count())) == 0) return Heard::nothing;
    char byte = 0;
    return ::recv(socket_.get(), &byte, 1, 0) > 0 ? Heard::bytes : Heard::end;
  }

 private:
  const UniqueFd socket_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
};

class StreamTest : public testing::Test {
 protected:
  static constexpr const char* kEcho = "/test/Echo";

  std::unique_ptr<StreamServer> start(StreamServer::Options options = {}) {
    if (options.listen_address.empty()) options.listen_address = "127.0.0.1:0";
    auto server = StreamServer::start(
        options,
        {{kEcho,
          [this](std::shared_ptr<StreamPeer> peer) {
            return std::make_unique<Echo>(seen_, std::move(peer));
          }}},
        {{"/test/Double", inline_unary_method<v1::Error, v1::Error>([](const v1::Error& request) {
            v1::Error answer;
            answer.set_code(request.code() * 2);
            return request.code() == 0 ? Result<v1::Error>(fail(Errc::no_data, "nothing to double"))
                                       : Result<v1::Error>(answer);
          })},
         {"/test/Later", unary_method<v1::Error, v1::Error>(
                             executor_, [](const v1::Error& request) -> Result<v1::Error> {
                               return request;
                             })}});
    EXPECT_TRUE(server) << server.error().to_string();
    return std::move(*server);
  }

  Executor executor_{{"test", 1, 16}};
  Seen seen_;
};

TEST_F(StreamTest, AnswersInOrder) {
  const auto server = start();
  Caller caller(server->address(), kEcho);
  for (int i = 0; i < 1000; ++i) caller.send(std::to_string(i));
  ASSERT_EQ(caller.wait([&] { return caller.received_count == 1000; }), WaitEnd::finished);
  const auto received = caller.received();
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(received[i], std::to_string(i));
}

TEST_F(StreamTest, CarriesMessagesUpToTheLimit) {
  const auto server = start();
  Caller caller(server->address(), kEcho);
  const std::string big((4 << 20) - 100, 'x');
  caller.send(big);
  ASSERT_EQ(caller.wait([&] { return caller.received_count == 1; }), WaitEnd::finished);
  EXPECT_EQ(caller.received()[0], big);
}

TEST_F(StreamTest, EndsAStreamWhoseMessageIsTooLong) {
  const auto server = start();
  Caller caller(server->address(), kEcho);
  caller.send(std::string((4 << 20) + 1, 'x'));
  EXPECT_EQ(caller.wait([&] { return caller.ended.load(); }), WaitEnd::finished);
}

TEST_F(StreamTest, ServesManyWaitingThreadsOnOneLoop) {
  const auto server = start();
  constexpr int kThreads = 8;
  constexpr std::size_t kRounds = 300;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i)
    threads.emplace_back([&] {
      Caller caller(server->address(), kEcho);
      for (std::size_t round = 1; round <= kRounds; ++round) {
        caller.send("x");
        ASSERT_EQ(caller.wait([&] { return caller.received_count == round; }), WaitEnd::finished);
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(seen_.messages, kThreads * static_cast<int>(kRounds));
}

TEST_F(StreamTest, HandlesMessagesWhileNobodyWaits) {
  const auto server = start();
  Caller caller(server->address(), kEcho);
  caller.send("a");
  while (caller.received_count < 1) std::this_thread::yield();
  EXPECT_EQ(caller.received()[0], "a");
}

TEST_F(StreamTest, ReadsNothingWhilePaused) {
  const auto server = start();
  Caller caller(server->address(), kEcho);
  caller.send("pause");
  caller.send("after");
  while (seen_.messages < 1) std::this_thread::yield();
  EXPECT_EQ(caller.loop().wait_until([&] { return caller.received_count > 0; },
                                     std::chrono::steady_clock::now() + 100ms, nullptr),
            WaitEnd::timed_out);
  std::shared_ptr<StreamPeer> peer;
  {
    const std::lock_guard lock(seen_.mutex);
    peer = seen_.peer;
  }
  peer->resume();
  ASSERT_EQ(caller.wait([&] { return caller.received_count == 1; }), WaitEnd::finished);
  EXPECT_EQ(caller.received()[0], "after");
}

TEST_F(StreamTest, NoticesTheEndOfAPausedStream) {
  const auto server = start();
  {
    Caller caller(server->address(), kEcho);
    caller.send("pause");
    while (seen_.messages < 1) std::this_thread::yield();
  }
  while (seen_.ended < 1) std::this_thread::yield();
  EXPECT_EQ(seen_.ended, 1);
}

TEST_F(StreamTest, TellsTheClientWhyAStreamWasClosed) {
  const auto server = start();
  Caller caller(server->address(), kEcho);
  caller.send("refuse");
  ASSERT_EQ(caller.wait([&] { return caller.ended.load(); }), WaitEnd::finished);
  EXPECT_EQ(caller.end_error().code, Errc::stale_epoch);
  EXPECT_EQ(caller.end_error().text, "as you wished");
  while (seen_.ended < 1) std::this_thread::yield();
}

TEST_F(StreamTest, EndsAStreamWhosePeerDoesNotTakeItsMessages) {
  StreamServer::Options options;
  options.queue_bytes_max = 8 << 20;
  const auto server = start(options);
  Caller caller(server->address(), kEcho);
  caller.send("flood");
  EXPECT_EQ(caller.wait([&] { return caller.ended.load(); }), WaitEnd::finished);
  while (seen_.ended < 1) std::this_thread::yield();
}

TEST_F(StreamTest, AnswersUnknownMethodsWithUnsupported) {
  const auto server = start();
  Caller caller(server->address(), "/test/Nothing");
  ASSERT_EQ(caller.wait([&] { return caller.ended.load(); }), WaitEnd::finished);
  EXPECT_EQ(caller.end_error().code, Errc::unsupported);
}

TEST_F(StreamTest, RefusesMoreCallsThanAllowed) {
  StreamServer::Options options;
  options.streams_max = 1;
  const auto server = start(options);
  Caller first(server->address(), kEcho);
  first.send("x");
  ASSERT_EQ(first.wait([&] { return first.received_count == 1; }), WaitEnd::finished);
  Caller second(server->address(), kEcho);
  ASSERT_EQ(second.wait([&] { return second.ended.load(); }), WaitEnd::finished);
  EXPECT_EQ(second.end_error().code, Errc::overloaded);
}

TEST_F(StreamTest, SaysThatNobodyListens) {
  std::string address;
  {
    const auto server = start();
    address = server->address();
  }
  Caller caller(address, kEcho);
  ASSERT_EQ(caller.wait([&] { return caller.ended.load(); }), WaitEnd::finished);
  EXPECT_EQ(caller.end_error().code, Errc::unavailable);
  EXPECT_EQ(caller.end_error().text, "Connection refused");
}

TEST_F(StreamTest, RefusesAPortThatIsInUse) {
  const auto server = start();
  StreamServer::Options options;
  options.listen_address = server->address();
  const auto second = StreamServer::start(options, {});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::busy);
  EXPECT_NE(second.error().text.find(server->address()), std::string::npos);
}

TEST_F(StreamTest, RefusesWhatIsNoAddress) {
  StreamServer::Options options;
  options.listen_address = "nonsense";
  EXPECT_EQ(StreamServer::start(options, {}).error().code, Errc::invalid);
}

TEST_F(StreamTest, KeepsDescriptorsForFilesAndAcceptsAgainWhenThereAreSome) {
  const auto server = start();
  Caller before(server->address(), kEcho);
  before.send("x");
  ASSERT_EQ(before.wait([&] { return before.received_count == 1; }), WaitEnd::finished);
  RawConnection refused, waiting;
  {
    const NoFreeDescriptor meanwhile(8);
    refused.connect(server->address());
    EXPECT_EQ(refused.hear(30s), RawConnection::Heard::end);
  }
  {
    const NoFreeDescriptor meanwhile;
    waiting.connect(server->address());
    EXPECT_EQ(waiting.hear(20ms), RawConnection::Heard::nothing);
    before.send("y");
    EXPECT_EQ(before.wait([&] { return before.received_count == 2; }), WaitEnd::finished);
  }
  EXPECT_EQ(waiting.hear(30s), RawConnection::Heard::bytes);
  Caller after(server->address(), kEcho);
  after.send("z");
  EXPECT_EQ(after.wait([&] { return after.received_count == 1; }), WaitEnd::finished);
}

TEST_F(StreamTest, EndsEveryStreamWhenItStops) {
  auto server = start();
  Caller caller(server->address(), kEcho);
  caller.send("x");
  ASSERT_EQ(caller.wait([&] { return caller.received_count == 1; }), WaitEnd::finished);
  server->stop();
  EXPECT_EQ(seen_.ended, 1);
  EXPECT_EQ(caller.wait([&] { return caller.ended.load(); }), WaitEnd::finished);
  server->stop();
}

TEST_F(StreamTest, ListensOnALocalSocketToo) {
  std::string address;
  {
    const auto server = start();
    address = server->address();
  }
  StreamServer::Options options;
  options.listen_address = address;
  const auto server = start(options);
  EXPECT_EQ(server->local_socket(), local_socket_path(address).string());
  EXPECT_EQ(dial_target(address), "unix:" + server->local_socket());
  Caller caller(address, kEcho);
  caller.send("x");
  ASSERT_EQ(caller.wait([&] { return caller.received_count == 1; }), WaitEnd::finished);
  EXPECT_EQ(seen_.peer->peer_address().substr(0, 5), "unix:");
}

// --- unary --------------------------------------------------------------------------

// A plain gRPC client, as other languages' would be.
grpc::Status ask(const std::string& address, const std::string& method, const v1::Error& request,
                 v1::Error& answer) {
  grpc::GenericStub stub(make_channel(dial_target(address)));
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  auto call = stub.PrepareUnaryCall(&context, method, serialize_message(request), &queue);
  call->StartCall();
  grpc::ByteBuffer bytes;
  grpc::Status status;
  call->Finish(&bytes, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  queue.Shutdown();
  while (queue.Next(&tag, &ok)) continue;
  if (status.ok()) {
    EXPECT_TRUE(parse_message(bytes, answer));
  }
  return status;
}

TEST_F(StreamTest, ServesUnaryMethods) {
  const auto server = start();
  v1::Error request;
  request.set_code(21);
  v1::Error answer;
  EXPECT_TRUE(ask(server->address(), "/test/Double", request, answer).ok());
  EXPECT_EQ(answer.code(), 42u);
  EXPECT_TRUE(ask(server->address(), "/test/Later", request, answer).ok());
  EXPECT_EQ(answer.code(), 21u);
  request.set_code(0);
  const grpc::Status status = ask(server->address(), "/test/Double", request, answer);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(from_grpc(status).code, Errc::no_data);
}

// --- the loop -----------------------------------------------------------------------

TEST(CompletionLoop, WaitsNoLongerThanTheDeadline) {
  const auto loop = CompletionLoop::shared();
  EXPECT_EQ(loop->wait_until([] { return false; }, std::chrono::steady_clock::now() + 10ms, nullptr),
            WaitEnd::timed_out);
}

TEST(CompletionLoop, AnInterruptEndsTheWaitOfLeaderAndFollower) {
  const auto loop = CompletionLoop::shared();
  Interrupt interrupts[2];
  std::atomic<int> interrupted{0};
  std::vector<std::thread> threads;
  for (Interrupt& interrupt : interrupts)
    threads.emplace_back([&] {
      if (loop->wait_until([] { return false; }, std::nullopt, &interrupt) == WaitEnd::interrupted)
        ++interrupted;
    });
  for (Interrupt& interrupt : interrupts) interrupt.interrupt();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(interrupted, 2);
}

TEST(CompletionLoop, RunsTasksInOrderWhoeverLeads) {
  const auto loop = CompletionLoop::shared();
  std::vector<int> order;
  std::atomic<bool> done{false};
  loop->run_soon([&] {
    order.push_back(1);
    loop->run_soon([&] {
      order.push_back(3);
      done.store(true);
    });
  });
  loop->run_soon([&] { order.push_back(2); });
  EXPECT_EQ(loop->wait_until([&] { return done.load(); }, std::nullopt, nullptr), WaitEnd::finished);
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
}

TEST(CompletionLoop, MayLoseItsLastUserInATask) {
  std::atomic<bool> ran{false};
  {
    auto loop = CompletionLoop::shared();
    auto* const raw = loop.get();
    raw->run_soon([&ran, held = std::move(loop)]() mutable {
      held.reset();
      ran.store(true);
    });
  }
  while (!ran) std::this_thread::yield();
  EXPECT_NE(CompletionLoop::shared(), nullptr);
}

}  // namespace
}  // namespace dfs
