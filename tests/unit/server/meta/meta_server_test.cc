// A whole metadata server: RocksDB, the doors and real streams on a loopback
// port.
#include "server/meta/meta_server.h"

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "common/base/process.h"
#include "common/base/row_file.h"
#include "common/rpc/backup_client.h"
#include "common/rpc/channels.h"
#include "common/rpc/cluster_client.h"
#include "common/rpc/grpc_status.h"
#include "common/rpc/meta_session.h"
#include "common/rpc/protocol.h"
#include "dfs/v1/cluster.grpc.pb.h"
#include "dfs/v1/meta.grpc.pb.h"
#include "server/meta/backup/restore.h"
#include "tests/support/temporary_directory.h"

namespace dfs {
namespace {

class MetaServerTest : public ::testing::Test {
 protected:
  MetaServerTest() {
    ::setenv("DFS_RUN_DIRECTORY", (directory.path() / "run").c_str(), 1);
    config.data_directory = directory.path() / "data";
    config.listen_address = "127.0.0.1:0";
    config.replicas = 1;
  }

  void start() {
    auto started = MetaServer::start(config);
    ASSERT_TRUE(started) << started.error().to_string();
    server = std::move(*started);
    config.listen_address = server->address();
  }
  std::unique_ptr<MetaSession> connect() {
    MetaSession::Options options;
    options.address = server->address();
    options.program = "test";
    auto session = MetaSession::connect(options, SystemClock::instance());
    EXPECT_TRUE(session) << session.error().to_string();
    return session ? std::move(*session) : nullptr;
  }
  std::unique_ptr<MetaSession> connect_for_leases(LeaseHooks hooks) {
    MetaSession::Options options;
    options.address = server->address();
    options.program = "test";
    options.wants_leases = true;
    auto session = MetaSession::connect(options, SystemClock::instance());
    EXPECT_TRUE(session) << session.error().to_string();
    if (!session) return nullptr;
    (*session)->set_lease_hooks(std::move(hooks));
    return std::move(*session);
  }
  template <typename R>
  Result<R> call(MetaSession& session, MetaArgs args) {
    return call_for<R>(session, std::move(args), Caller{}, nullptr);
  }

  TemporaryDirectory directory;
  MetaConfig config;
  std::unique_ptr<MetaServer> server;
};

TEST_F(MetaServerTest, AnswersASessionOverAStream) {
  start();
  const auto session = connect();
  ASSERT_NE(session, nullptr);
  const auto made = call<EntryResult>(
      *session, CreateArgs{.parent = kRootInode, .name = "a", .mode = 0640, .exclusive = true});
  ASSERT_TRUE(made) << made.error().to_string();
  const auto found = call<EntryResult>(*session, LookupArgs{kRootInode, "a"});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->attributes.inode, made->attributes.inode);
  EXPECT_EQ(found->attributes.mode, 0640u);
  const auto missing = call<EntryResult>(*session, LookupArgs{kRootInode, "b"});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Errc::not_found);
}

TEST_F(MetaServerTest, ASessionGoesOnOverARestartWithEverythingInPlace) {
  start();
  const auto session = connect();
  ASSERT_NE(session, nullptr);
  const SessionId before = session->session();
  ASSERT_TRUE(call<EntryResult>(*session, CreateArgs{.parent = kRootInode, .name = "a"}));
  server.reset();
  start();
  const auto found = call<EntryResult>(*session, LookupArgs{kRootInode, "a"});
  EXPECT_TRUE(found) << found.error().to_string();
  EXPECT_EQ(session->session(), before);
}

TEST_F(MetaServerTest, ASessionThatEndsIsForgottenAtOnce) {
  start();
  const auto watcher = connect();
  auto session = connect();
  ASSERT_NE(watcher, nullptr);
  ASSERT_NE(session, nullptr);
  ASSERT_TRUE(call<OpenResult>(*session,
                               CreateArgs{.parent = kRootInode, .name = "a", .open = true}));
  session.reset();
  const auto status = call<ClusterStatusResult>(*watcher, ClusterStatusArgs{});
  ASSERT_TRUE(status) << status.error().to_string();
  ASSERT_EQ(status->sessions.size(), 1u);
  EXPECT_EQ(status->sessions[0].session, watcher->session());
}

TEST_F(MetaServerTest, ASessionIsAskedForItsLeaseOverItsStream) {
  start();
  std::unique_ptr<MetaSession> reader;
  LeaseHooks hooks;
  hooks.welcomed = [](const LeaseTerms&) {};
  hooks.confirmed = [](SteadyTime) {};
  std::atomic<std::uint64_t> granted{0};
  std::atomic<bool> asked{false};
  hooks.recalled = [&](const LeaseRecall& recall) {
    EXPECT_GT(recall.order, granted.load());
    ReturnLeasesArgs returned;
    for (const RecalledLease& lease : recall.leases)
      returned.leases.push_back({lease.inode, lease.keep, recall.order});
    asked = true;
    reader->post(returned);
  };
  reader = connect_for_leases(std::move(hooks));
  const auto writer = connect();
  ASSERT_NE(reader, nullptr);
  ASSERT_NE(writer, nullptr);
  const auto told = call<AttributesResult>(*reader, GetAttrArgs{kRootInode});
  ASSERT_TRUE(told);
  EXPECT_EQ(told->attributes.lease, LeaseKind::read);
  EXPECT_GT(told->attributes.lease_order, 0u);
  granted = told->attributes.lease_order;
  EXPECT_TRUE(call<EntryResult>(*writer, CreateArgs{.parent = kRootInode, .name = "a"}));
  EXPECT_TRUE(asked);
  reader.reset();
}

TEST_F(MetaServerTest, ASessionThatKeepsWhatItIsAskedForBecomesANewOne) {
  config.lease_time = std::chrono::milliseconds{200};
  start();
  LeaseHooks hooks;
  hooks.welcomed = [](const LeaseTerms&) {};
  hooks.confirmed = [](SteadyTime) {};
  hooks.claims = [] { return LeaseClaims{.read = {kRootInode}, .write = {}}; };
  const auto silent = connect_for_leases(std::move(hooks));
  const auto writer = connect();
  ASSERT_NE(silent, nullptr);
  ASSERT_NE(writer, nullptr);
  const SessionId before = silent->session();
  ASSERT_TRUE(call<AttributesResult>(*silent, GetAttrArgs{kRootInode}));
  EXPECT_TRUE(call<EntryResult>(*writer, CreateArgs{.parent = kRootInode, .name = "a"}));
  const auto status = call<ClusterStatusResult>(*writer, ClusterStatusArgs{});
  ASSERT_TRUE(status);
  ASSERT_EQ(status->evictions.size(), 1u);
  EXPECT_EQ(status->evictions[0].session, before);
  EXPECT_TRUE(call<EntryResult>(*silent, LookupArgs{kRootInode, "a"}));
  EXPECT_NE(silent->session(), before);
}

TEST_F(MetaServerTest, ManyCallersShareAServer) {
  start();
  const auto session = connect();
  ASSERT_NE(session, nullptr);
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&, caller] {
      for (int i = 0; i < 100; ++i) {
        const std::string name = std::to_string(caller) + "-" + std::to_string(i);
        EXPECT_TRUE(call<EntryResult>(*session, CreateArgs{.parent = kRootInode, .name = name}));
        if (i % 25 == 0) {
          EXPECT_TRUE(call<EmptyResult>(*session, SyncArgs{}));
        }
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  std::size_t names = 0;
  for (ReadDirArgs args{.inode = kRootInode};;) {
    const auto page = call<ReadDirResult>(*session, args);
    ASSERT_TRUE(page);
    names += page->entries.size();
    if (page->end) break;
    args.cookie = page->entries.back().cookie;
  }
  EXPECT_EQ(names, 400u);
}

TEST_F(MetaServerTest, RegistersStorageServersAndAnswersTheirHeartbeats) {
  start();
  const auto client = make_cluster_client(server->address());
  RegisterArgs args;
  args.identity = "one";
  args.address = "127.0.0.1:7401";
  args.capacity = args.available = 10 * GiB;
  const auto registered = client->register_server(args);
  ASSERT_TRUE(registered) << registered.error().to_string();
  EXPECT_EQ(registered->server, ServerId{1});
  EXPECT_EQ(registered->group_table.groups.size(), 1u);

  HeartbeatArgs beat;
  beat.server = registered->server;
  beat.identity = "one";
  const auto answer = client->heartbeat(beat);
  ASSERT_TRUE(answer) << answer.error().to_string();
  EXPECT_FALSE(answer->register_again);

  ASSERT_TRUE(registered->sessions && answer->sessions);
  EXPECT_EQ(answer->sessions->mark, registered->sessions->mark);
  beat.sessions_mark = answer->sessions->mark;
  EXPECT_EQ(client->heartbeat(beat)->sessions, nullptr) << "as they were";

  args.cluster = "another";
  const auto refused = client->register_server(args);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::wrong_cluster);
}

TEST_F(MetaServerTest, APortInUseIsOneClearSentence) {
  start();
  MetaConfig other = config;
  other.data_directory = directory.path() / "other";
  const auto refused = MetaServer::start(other);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::busy);
  EXPECT_NE(refused.error().text.find(server->address()), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(other.data_directory / "db"))
      << "no cluster is made that was never served";
}

TEST_F(MetaServerTest, ADirectoryInUseIsRefused) {
  start();
  MetaConfig other = config;
  other.listen_address = "127.0.0.1:0";
  const auto refused = MetaServer::start(other);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::busy);
}

TEST_F(MetaServerTest, ADirectoryThatHoldsSomethingElseIsRefusedAndLeftAlone) {
  std::filesystem::create_directories(config.data_directory);
  std::ofstream(config.data_directory / "letters.txt") << "dear";
  const auto refused = MetaServer::start(config);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::invalid);
  std::size_t files = 0;
  for ([[maybe_unused]] const auto& entry :
       std::filesystem::directory_iterator(config.data_directory))
    ++files;
  EXPECT_EQ(files, 1u);
}

TEST_F(MetaServerTest, AnotherNumberOfCopiesThanTheClusterHasIsRefused) {
  start();
  server.reset();
  config.replicas = 2;
  const auto refused = MetaServer::start(config);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::invalid);
  config.replicas.reset();
  EXPECT_TRUE(MetaServer::start(config)) << "nothing said is the same";
}

// A client that may say anything.
class Stranger {
 public:
  explicit Stranger(const std::string& address)
      : stub_(v1::MetaService::NewStub(make_channel(address))), stream_(stub_->Session(&context_)) {}
  ~Stranger() { context_.TryCancel(); }

  static v1::ClientFrame hello() {
    v1::ClientFrame frame;
    frame.mutable_hello()->set_protocol_version(kProtocolVersion);
    return frame;
  }
  void say(const v1::ClientFrame& frame) { stream_->Write(frame); }
  v1::ServerFrame hear() {
    v1::ServerFrame frame;
    if (!stream_->Read(&frame)) return {};
    return frame;
  }
  bool is_over() {
    v1::ServerFrame frame;
    return !stream_->Read(&frame);
  }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<v1::MetaService::Stub> stub_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::ClientFrame, v1::ServerFrame>> stream_;
};

TEST_F(MetaServerTest, AStreamThatDoesNotBeginWithAHelloIsEndedWithASentence) {
  start();
  Stranger stranger(server->address());
  v1::ClientFrame frame;
  frame.add_requests()->mutable_get_attr()->set_inode(1);
  stranger.say(frame);
  const v1::ServerFrame answer = stranger.hear();
  EXPECT_EQ(answer.error().code(), static_cast<std::uint32_t>(Errc::bad_message));
  EXPECT_EQ(answer.error().text(), "the first frame is not a hello");
  EXPECT_TRUE(stranger.is_over());
}

TEST_F(MetaServerTest, AClientOfAnotherVersionIsRefusedWithBothVersions) {
  start();
  Stranger stranger(server->address());
  v1::ClientFrame frame = Stranger::hello();
  frame.mutable_hello()->set_protocol_version(kProtocolVersion + 1);
  stranger.say(frame);
  const v1::ServerFrame answer = stranger.hear();
  EXPECT_EQ(answer.error().code(), static_cast<std::uint32_t>(Errc::wrong_version));
  EXPECT_EQ(answer.error().text(),
            fmt::format("the client speaks version {} of the protocol, the metadata server ({}) "
                        "version {}",
                        kProtocolVersion + 1, version(), kProtocolVersion));
  EXPECT_TRUE(stranger.is_over());
}

TEST_F(MetaServerTest, AStorageServerOfAnotherVersionIsRefusedWithBothVersions) {
  start();
  const auto stub = v1::ClusterService::NewStub(make_channel(server->address()));
  grpc::ClientContext context;
  v1::RegisterRequest request;
  request.set_protocol_version(kProtocolVersion + 1);
  request.set_identity("one");
  request.set_address("127.0.0.1:7401");
  v1::RegisterResponse response;
  const grpc::Status status = stub->Register(&context, request, &response);
  EXPECT_FALSE(status.ok());
  const Error refusal = from_grpc(status);
  EXPECT_EQ(refusal.code, Errc::wrong_version);
  EXPECT_EQ(refusal.text,
            fmt::format("the storage server at 127.0.0.1:7401 speaks version {} of the protocol, the "
                        "metadata server version {}",
                        kProtocolVersion + 1, kProtocolVersion));
}

TEST_F(MetaServerTest, RequestsThatBreakTheProtocolEndTheirStreamAndNoOther) {
  start();
  const auto session = connect();
  ASSERT_NE(session, nullptr);
  {
    Stranger stranger(server->address());
    stranger.say(Stranger::hello());
    ASSERT_TRUE(stranger.hear().has_welcome());
    v1::ClientFrame frame;
    for (std::size_t i = 0; i <= kRequestsPerFrameMax; ++i)
      frame.add_requests()->mutable_get_attr()->set_inode(1);
    stranger.say(frame);
    EXPECT_EQ(stranger.hear().error().code(), static_cast<std::uint32_t>(Errc::bad_message));
    EXPECT_TRUE(stranger.is_over());
  }
  {
    Stranger stranger(server->address());
    stranger.say(Stranger::hello());
    ASSERT_TRUE(stranger.hear().has_welcome());
    v1::ClientFrame frame;
    frame.add_requests()->mutable_lookup()->set_name("a/b");
    stranger.say(frame);
    EXPECT_EQ(stranger.hear().error().code(), static_cast<std::uint32_t>(Errc::bad_message));
    EXPECT_TRUE(stranger.is_over());
  }
  EXPECT_TRUE(call<AttributesResult>(*session, GetAttrArgs{kRootInode}));
}

TEST_F(MetaServerTest, ASecondHelloEndsTheStream) {
  start();
  Stranger stranger(server->address());
  stranger.say(Stranger::hello());
  ASSERT_TRUE(stranger.hear().has_welcome());
  stranger.say(Stranger::hello());
  EXPECT_EQ(stranger.hear().error().code(), static_cast<std::uint32_t>(Errc::bad_message));
}

TEST_F(MetaServerTest, RequestsSentBeforeTheWelcomeAreAnsweredAfterIt) {
  start();
  Stranger stranger(server->address());
  stranger.say(Stranger::hello());
  v1::ClientFrame frame;
  v1::Request& request = *frame.add_requests();
  request.set_id(7);
  request.mutable_get_attr()->set_inode(1);
  stranger.say(frame);
  EXPECT_TRUE(stranger.hear().has_welcome());
  const v1::ServerFrame answer = stranger.hear();
  ASSERT_EQ(answer.responses_size(), 1);
  EXPECT_EQ(answer.responses(0).id(), 7u);
}

TEST_F(MetaServerTest, AClientWithTooManyRequestsUnderWayIsReadFromLaterAndLosesNothing) {
  config.batch_max = 4;
  start();
  Stranger stranger(server->address());
  stranger.say(Stranger::hello());
  ASSERT_TRUE(stranger.hear().has_welcome());
  constexpr int kFrames = 40;
  constexpr int kRequests = 500;
  std::thread speaker([&] {
    for (int i = 0; i < kFrames; ++i) {
      v1::ClientFrame frame;
      for (int j = 0; j < kRequests; ++j) {
        v1::Request& request = *frame.add_requests();
        request.set_id(static_cast<std::uint64_t>(i * kRequests + j));
        request.mutable_get_attr()->set_inode(1);
      }
      stranger.say(frame);
    }
  });
  int answers = 0;
  while (answers < kFrames * kRequests) {
    const int more = stranger.hear().responses_size();
    ASSERT_GT(more, 0);
    answers += more;
  }
  speaker.join();
  EXPECT_EQ(answers, kFrames * kRequests);
}

TEST_F(MetaServerTest, IsBackedUpWhileItServesAndMadeAnewFromThat) {
  start();
  const auto session = connect();
  ASSERT_NE(session, nullptr);
  for (int i = 0; i < 20; ++i)
    ASSERT_TRUE(call<EntryResult>(
        *session, CreateArgs{.parent = kRootInode, .name = fmt::format("f{}", i)}));

  const auto refused = make_backup_client(server->address(), 1000)->next();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::not_permitted);

  const auto client = make_backup_client(server->address(), 0);
  const auto file = directory.path() / "backup";
  BackupPage page = client->next().value();
  RowFileWriter writer = RowFileWriter::create(file, page.facts).value();
  while (true) {
    std::string_view rows = page.rows;
    std::string_view key;
    std::string_view value;
    while (take_row(rows, key, value)) ASSERT_TRUE(writer.add(key, value));
    if (page.last) break;
    page = client->next().value();
  }
  ASSERT_TRUE(writer.finish());
  const std::string cluster = session->cluster();
  server.reset();

  const auto in_use = restore(file, config.data_directory, SystemClock::instance(), {});
  ASSERT_FALSE(in_use);
  EXPECT_EQ(in_use.error().code, Errc::not_empty);

  config.data_directory = directory.path() / "restored";
  const auto made = restore(file, config.data_directory, SystemClock::instance(), {});
  ASSERT_TRUE(made) << made.error().to_string();
  EXPECT_EQ(made->head.cluster, cluster);
  start();
  const auto other = connect();
  ASSERT_NE(other, nullptr);
  EXPECT_EQ(other->cluster(), cluster);
  for (int i = 0; i < 20; ++i)
    EXPECT_TRUE(call<EntryResult>(*other, LookupArgs{kRootInode, fmt::format("f{}", i)}));
}

TEST_F(MetaServerTest, IsNotMadeFromADamagedBackup) {
  const auto file = directory.path() / "backup";
  {
    std::ofstream out(file);
    out << "no backup at all, but long enough to be looked at";
  }
  const auto target = directory.path() / "restored";
  EXPECT_FALSE(restore(file, target, SystemClock::instance(), {}));
  EXPECT_FALSE(std::filesystem::exists(target)) << "the file is looked at first";
}

}  // namespace
}  // namespace dfs
