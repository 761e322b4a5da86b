// A metadata server that does what a test says, and sessions with it.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/rpc/convert.h"
#include "common/rpc/frame.h"
#include "common/rpc/meta_session.h"
#include "common/rpc/protocol.h"
#include "common/rpc/stream_server.h"

namespace dfs {

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
  std::uint32_t protocol_version = kProtocolVersion;
  bool forgets_sessions = false;
  std::uint64_t table_version = 1;
  std::size_t frames = 0;
  bool hears_goodbyes = true;
  std::size_t requests_before_goodbye = 0;
  std::size_t goodbyes = 0;

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

inline void FakeMeta::welcome(const v1::Hello& hello, v1::ServerFrame& answer) {
  hellos_.push_back(hello);
  if (refusal) return to_proto(*refusal, *answer.mutable_error());
  v1::Welcome& welcome = *answer.mutable_welcome();
  const bool resumed = hello.session() != 0 && !forgets_sessions;
  welcome.set_cluster(cluster);
  welcome.set_session(resumed ? hello.session() : ++sessions_);
  welcome.set_session_epoch(1);
  welcome.set_resumed(resumed);
  welcome.set_chunk_size(kChunkSizeDefault);
  welcome.set_protocol_version(protocol_version);
  welcome.mutable_group_table()->set_version(table_version);
}

// False: the connection is to break.
inline bool FakeMeta::take(const v1::ClientFrame& frame, v1::ServerFrame& answer) {
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
  if (frame.goodbye()) {
    ++goodbyes;
    requests_before_goodbye = requests_.size();
    return !hears_goodbyes;
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

using LateTaker = std::function<void(Result<MetaResult>)>;

// Takes late answers, from whatever thread.
class LateTakes {
 public:
  LateTaker taker() {
    return [this](Result<MetaResult> answer) {
      const std::lock_guard lock(mutex_);
      answers_.push_back(answer ? Errc::ok : answer.error().code);
      threads_.push_back(std::this_thread::get_id());
      came_.notify_all();
    };
  }
  // All so far, once there are `count`.
  std::vector<Errc> wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    came_.wait(lock, [&] { return answers_.size() >= count; });
    return answers_;
  }
  std::vector<Errc> answers() {
    const std::lock_guard lock(mutex_);
    return answers_;
  }
  bool any_on(std::thread::id thread) {
    const std::lock_guard lock(mutex_);
    return std::find(threads_.begin(), threads_.end(), thread) != threads_.end();
  }

 private:
  std::mutex mutex_;
  std::condition_variable came_;
  std::vector<Errc> answers_;
  std::vector<std::thread::id> threads_;
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

  // A caller who is interrupted before he begins to wait.
  Errc call_impatiently(MetaSession& session, const MetaArgs& args, LateTaker late) {
    Interrupt interrupt;
    interrupt.interrupt();
    const auto result = session.call_through(args, {}, &interrupt, std::move(late));
    return result ? Errc::ok : result.error().code;
  }

  const MetaArgs read_ = GetAttrArgs{InodeId{1}};
  const MetaArgs write_ = UnlinkArgs{InodeId{1}, "a"};
  SystemClock clock_;
  FakeMeta meta_;
  std::unique_ptr<StreamServer> server_;
  std::string address_;
};

}  // namespace dfs
