#include "common/rpc/cluster_client.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/guarded.h"
#include "common/rpc/handler.h"
#include "common/rpc/protocol.h"
#include "common/rpc/stream_server.h"
#include "dfs/v1/cluster.pb.h"

namespace dfs {
namespace {

using namespace std::chrono_literals;

class ClusterClientTest : public testing::Test {
 protected:
  using Answer = std::function<Result<v1::HeartbeatResponse>(const v1::HeartbeatRequest&)>;

  void serve(UnaryMethod heartbeat, std::string address = "127.0.0.1:0") {
    server_ = *StreamServer::start({.listen_address = std::move(address), .local_socket = false}, {},
                                   {{"/dfs.v1.ClusterService/Heartbeat", std::move(heartbeat)}});
  }
  void serve(Answer answer, std::string address = "127.0.0.1:0") {
    serve(inline_unary_method<v1::HeartbeatRequest, v1::HeartbeatResponse>(std::move(answer)),
          std::move(address));
  }
  static Result<v1::HeartbeatResponse> echo(const v1::HeartbeatRequest& request) {
    v1::HeartbeatResponse response;
    for (const std::uint64_t chunk : request.deleted()) response.add_to_delete(chunk);
    return response;
  }
  static HeartbeatArgs beat(ChunkId deleted) {
    HeartbeatArgs args;
    args.deleted = {deleted};
    return args;
  }

  Guarded<std::vector<UnaryReply>> unanswered_;
  std::unique_ptr<StreamServer> server_;
};

const ChunkId kChunk{GroupId{3}, 5};

TEST_F(ClusterClientTest, BringsTheAnswerFromAServerOnTheSameLoop) {
  serve(echo);
  const auto client = make_cluster_client(server_->address());
  const auto answer = client->heartbeat(beat(kChunk));
  ASSERT_TRUE(answer) << answer.error().to_string();
  EXPECT_EQ(answer->to_delete, std::vector<ChunkId>{kChunk});
}

TEST_F(ClusterClientTest, ServesManyCallersAtOnce) {
  serve(echo);
  const auto client = make_cluster_client(server_->address());
  std::vector<std::thread> callers;
  for (std::uint64_t caller = 1; caller <= 4; ++caller) {
    callers.emplace_back([&, mine = ChunkId(GroupId{3}, caller)] {
      for (int i = 0; i < 50; ++i) {
        const auto answer = client->heartbeat(beat(mine));
        ASSERT_TRUE(answer) << answer.error().to_string();
        EXPECT_EQ(answer->to_delete, std::vector<ChunkId>{mine});
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
}

TEST_F(ClusterClientTest, PassesOnWhatTheServerAnsweredAndNamesIt) {
  serve([](const v1::HeartbeatRequest&) -> Result<v1::HeartbeatResponse> {
    return fail(Errc::wrong_cluster, "this is cluster-9");
  });
  const auto client = make_cluster_client(server_->address());
  const auto refused = client->heartbeat({});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::wrong_cluster);
  EXPECT_EQ(refused.error().text,
            fmt::format("the metadata server at {}: this is cluster-9", server_->address()));
}

TEST_F(ClusterClientTest, RefusesToBeRegisteredInAnotherVersion) {
  server_ = *StreamServer::start(
      {.listen_address = "127.0.0.1:0", .local_socket = false}, {},
      {{"/dfs.v1.ClusterService/Register",
        inline_unary_method<v1::RegisterRequest, v1::RegisterResponse>(
            [](const v1::RegisterRequest&) -> Result<v1::RegisterResponse> {
              v1::RegisterResponse response;
              response.set_cluster("home");
              response.set_server(1);
              response.set_heartbeat_interval_ms(1000);
              response.set_protocol_version(kProtocolVersion + 1);
              return response;
            })}});
  const auto refused = make_cluster_client(server_->address())->register_server({});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::wrong_version);
  EXPECT_EQ(refused.error().text,
            fmt::format("the metadata server at {}: it speaks version {} of the protocol, this program "
                        "version {}",
                        server_->address(), kProtocolVersion + 1, kProtocolVersion));
}

TEST_F(ClusterClientTest, IsToldWhichSessionsThereAre) {
  serve([](const v1::HeartbeatRequest& request) -> Result<v1::HeartbeatResponse> {
    v1::HeartbeatResponse response;
    if (request.sessions_mark() == 5) return response;
    v1::LiveSessions& sessions = *response.mutable_sessions();
    sessions.set_next(9);
    for (const std::uint64_t id : {2, 4, 8}) sessions.add_live(id);
    sessions.set_mark(5);
    return response;
  });
  const auto client = make_cluster_client(server_->address());
  HeartbeatArgs args;
  const auto told = client->heartbeat(args);
  ASSERT_TRUE(told && told->sessions);
  EXPECT_EQ(told->sessions->mark, 5u);
  for (const std::uint64_t id : {1, 3, 5, 7}) EXPECT_TRUE(told->sessions->has_ended(SessionId{id}));
  for (const std::uint64_t id : {0, 2, 4, 8, 9, 10})
    EXPECT_FALSE(told->sessions->has_ended(SessionId{id})) << id;
  args.sessions_mark = told->sessions->mark;
  EXPECT_EQ(client->heartbeat(args)->sessions, nullptr);
}

TEST_F(ClusterClientTest, BelievesNoListOfSessionsThatCannotBe) {
  std::vector<std::uint64_t> ids;
  serve([&](const v1::HeartbeatRequest&) -> Result<v1::HeartbeatResponse> {
    v1::HeartbeatResponse response;
    response.mutable_sessions()->set_next(9);
    response.mutable_sessions()->mutable_live()->Add(ids.begin(), ids.end());
    return response;
  });
  const auto client = make_cluster_client(server_->address());
  const std::vector<std::vector<std::uint64_t>> impossible = {
      {0}, {9}, {3, 2}, {3, 3}, std::vector<std::uint64_t>(kSessionsMax + 1, 1)};
  for (const auto& list : impossible) {
    ids = list;
    const auto answer = client->heartbeat({});
    EXPECT_EQ(answer ? Errc::ok : answer.error().code, Errc::bad_message) << list.size();
  }
}

TEST_F(ClusterClientTest, GivesUpOnASilentServerAndNamesIt) {
  serve([this](grpc::ByteBuffer, UnaryReply reply) {
    unanswered_.with([&](auto& all) { all.push_back(std::move(reply)); });
  });
  const auto client = make_cluster_client(server_->address(), 50ms);
  const auto late = client->heartbeat({});
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Errc::timed_out);
  EXPECT_NE(late.error().text.find(server_->address()), std::string::npos) << late.error().text;
  for (const UnaryReply& reply : unanswered_.with([](auto& all) { return std::exchange(all, {}); }))
    reply(fail(Errc::unavailable, "too late"));
}

TEST_F(ClusterClientTest, FindsAServerThatCameBack) {
  serve(echo);
  const std::string address = server_->address();
  const auto client = make_cluster_client(address);
  ASSERT_TRUE(client->heartbeat({}));
  server_.reset();
  const auto nobody = client->heartbeat({});
  ASSERT_FALSE(nobody);
  EXPECT_EQ(nobody.error().code, Errc::unavailable);
  EXPECT_NE(nobody.error().text.find(address), std::string::npos) << nobody.error().text;
  serve(echo, address);
  EXPECT_TRUE(client->heartbeat({}));
}

}  // namespace
}  // namespace dfs
