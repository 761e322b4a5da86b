// Whole servers over real sockets on the loopback.
#include "server/storage/storage_server.h"

#include <fstream>
#include <future>

#include "common/base/metrics.h"
#include "common/rpc/completion_loop.h"
#include "common/rpc/grpc_storage_client.h"
#include "common/rpc/channels.h"
#include "common/rpc/protocol.h"
#include "common/rpc/stream_client.h"
#include "server/storage/segment_files.h"
#include "tests/unit/server/storage/store_fixture.h"

namespace dfs::storage {
namespace {

using std::chrono::milliseconds;

// Registers everybody and knows who is where.
class FakeCluster {
 public:
  class Client final : public ClusterClient {
   public:
    explicit Client(FakeCluster& cluster) : cluster_(cluster) {}
    Result<RegisterResult> register_server(const RegisterArgs& args) override {
      return cluster_.add(args);
    }
    Result<HeartbeatResult> heartbeat(const HeartbeatArgs& args) override {
      HeartbeatResult result;
      const auto table = cluster_.table();
      if (table->version > args.group_table_version) result.group_table = *table;
      return result;
    }
    Result<RepairResult> repair(const RepairArgs&) override {
      RepairResult nothing;
      nothing.pause = milliseconds{1'000};
      return nothing;
    }

   private:
    FakeCluster& cluster_;
  };

  Result<RegisterResult> add(const RegisterArgs& args) {
    const std::lock_guard lock(mutex_);
    if (refuses) return fail(Errc::wrong_cluster, "told to refuse");
    const ServerId server = args.server.value() != 0 ? args.server : ServerId{++last_};
    ServerInfo& info = table_.servers[server];
    info.server = server;
    info.address = args.address;
    info.alive = true;
    ++table_.version;
    return RegisterResult{.cluster = "cluster-1", .server = server,
                          .heartbeat_interval = milliseconds{50}, .group_table = table_,
                          .sessions = sessions_};
  }
  void set_epoch(GroupId group, Epoch epoch) {
    const std::lock_guard lock(mutex_);
    table_.groups[group].group = group;
    table_.groups[group].epoch = epoch;
    ++table_.version;
  }
  // Told to who registers from now on.
  void set_sessions(SessionId next, std::vector<SessionId> live) {
    const std::lock_guard lock(mutex_);
    sessions_ = std::make_shared<LiveSessions>(LiveSessions{next, std::move(live), next.value()});
  }
  GroupTablePtr table() const {
    const std::lock_guard lock(mutex_);
    return std::make_shared<GroupTable>(table_);
  }
  bool refuses = false;

 private:
  mutable std::mutex mutex_;
  GroupTable table_;
  LiveSessionsPtr sessions_;
  std::uint32_t last_ = 0;
};

class StorageServerTest : public testing::Test {
 protected:
  struct Machine {
    std::filesystem::path directory;
    std::unique_ptr<StorageServer> server;
    ServerId id;
  };

  void start(Machine& machine, const std::string& address = "127.0.0.1:0") {
    StorageConfig config;
    config.data_directories = {machine.directory};
    config.listen_address = address;
    config.reserved_bytes = 1;
    auto server = StorageServer::start(config, std::make_unique<FakeCluster::Client>(cluster_));
    ASSERT_TRUE(server) << server.error().to_string();
    machine.server = *std::move(server);
    ASSERT_TRUE(machine.server->wait_registered(std::chrono::seconds(10)).value());
    const GroupTablePtr table = cluster_.table();
    for (const auto& [id, info] : table->servers) {
      if (info.address == machine.server->address()) machine.id = id;
    }
  }
  void start_all(int count) {
    for (int i = 0; i < count; ++i) {
      machines_.emplace_back().directory = root_.path() / std::to_string(machines_.size());
      start(machines_.back());
    }
  }
  std::shared_ptr<StorageClient> client(const Machine& machine, std::string cluster = "cluster-1") {
    return GrpcStorageClient::create({.cluster = std::move(cluster)},
                                     cluster_.table()->servers.at(machine.id),
                                     [this] { return cluster_.table(); }, SystemClock::instance());
  }
  static PutArgs put_args(const TestChunk& chunk, std::vector<ServerId> forward = {}) {
    PutArgs args;
    args.chunk = chunk.meta.chunk;
    args.inode = chunk.meta.inode;
    args.file_offset = chunk.meta.file_offset;
    args.written = chunk.meta.written;
    args.scattered = chunk.meta.scattered;
    args.forward = std::move(forward);
    args.pieces = {chunk.view()};
    args.checksums = chunk.sums;
    return args;
  }
  static Result<PutOutcome> put(StorageClient& to, PutArgs args) {
    std::promise<Result<PutOutcome>> answered;
    to.put(std::move(args), [&](Result<PutOutcome> outcome) { answered.set_value(std::move(outcome)); });
    return answered.get_future().get();
  }
  static Errc put_error(StorageClient& to, PutArgs args) {
    const auto outcome = put(to, std::move(args));
    return outcome ? Errc::ok : outcome.error().code;
  }
  static std::string fetch(StorageClient& from, const TestChunk& chunk, std::uint32_t offset,
                           std::uint32_t length) {
    std::vector<std::byte> into(length);
    std::promise<Result<void>> answered;
    from.get({{.chunk = chunk.meta.chunk, .offset = offset, .length = length, .into = into.data()}},
             [&](std::vector<Result<void>> results) { answered.set_value(std::move(results.at(0))); });
    const auto got = answered.get_future().get();
    if (!got) return std::string(name_of(got.error().code));
    return std::equal(into.begin(), into.end(), chunk.bytes.begin() + offset) ? "right" : "wrong";
  }
  static std::string fetch(StorageClient& from, const TestChunk& chunk) {
    return fetch(from, chunk, 0, chunk.meta.length);
  }

  TemporaryDirectory root_;
  FakeCluster cluster_;
  std::vector<Machine> machines_;
};

TEST_F(StorageServerTest, StoresOnEveryMemberAndReturnsTheBytesFromEach) {
  start_all(3);
  const auto first = client(machines_[0]);
  const std::uint32_t lengths[] = {1, 4096, 65536, 70'000, 1 << 20, (1 << 20) + 1, 8 << 20};
  std::uint64_t serial = 0;
  for (const std::uint32_t length : lengths) {
    for (const bool sync : {false, true}) {
      const TestChunk chunk = make_chunk(++serial, length);
      PutArgs args = put_args(chunk, {machines_[1].id, machines_[2].id});
      args.sync = sync;
      const auto outcome = put(*first, std::move(args));
      ASSERT_TRUE(outcome) << outcome.error().to_string();
      EXPECT_EQ(outcome->stored_on.size(), 3u);
      EXPECT_EQ(outcome->synced_on.size(), sync ? 3u : 0u);
      EXPECT_TRUE(outcome->failed.empty());
      for (const Machine& machine : machines_) EXPECT_EQ(fetch(*client(machine), chunk), "right");
    }
  }
}

TEST_F(StorageServerTest, KeepsOnEveryMemberWhereAChunkBelongsAndWhenItWasWritten) {
  start_all(2);
  TestChunk chunk = make_chunk(1, 70'000);
  chunk.meta.written = 1'700'000'000'000'000'001;
  chunk.meta.scattered = true;
  ASSERT_TRUE(put(*client(machines_[0]), put_args(chunk, {machines_[1].id})));
  for (const Machine& machine : machines_) {
    std::promise<Result<std::vector<StoredChunk>>> answered;
    const auto from = client(machine);
    from->stat({chunk.meta.chunk}, [&](Result<std::vector<StoredChunk>> stored) {
      answered.set_value(std::move(stored));
    });
    const auto stored = answered.get_future().get();
    ASSERT_TRUE(stored);
    EXPECT_EQ(stored->at(0).inode, chunk.meta.inode);
    EXPECT_EQ(stored->at(0).file_offset, chunk.meta.file_offset);
    EXPECT_EQ(stored->at(0).written, chunk.meta.written);
    EXPECT_TRUE(stored->at(0).scattered);
  }
}

TEST_F(StorageServerTest, GoesOnWithoutADeadMemberAndSaysWhoLacksTheChunk) {
  start_all(3);
  machines_[2].server->stop();
  const auto first = client(machines_[0]);
  for (std::uint64_t serial = 1; serial <= 3; ++serial) {
    const TestChunk chunk = make_chunk(serial, serial == 2 ? 3 << 20 : 4096);
    PutArgs args = put_args(chunk, {machines_[1].id, machines_[2].id});
    args.sync = true;
    const auto outcome = put(*first, std::move(args));
    ASSERT_TRUE(outcome) << outcome.error().to_string();
    EXPECT_EQ(outcome->stored_on, (std::vector{machines_[0].id, machines_[1].id}));
    EXPECT_EQ(outcome->synced_on, (std::vector{machines_[0].id, machines_[1].id}));
    ASSERT_EQ(outcome->failed.size(), 1u);
    EXPECT_EQ(outcome->failed[0].first, machines_[2].id);
    EXPECT_EQ(fetch(*client(machines_[1]), chunk), "right");
  }
}

TEST_F(StorageServerTest, SendsAChunkThatIsThereToTheMembersThatLackIt) {
  start_all(3);
  const auto first = client(machines_[0]);
  for (const std::uint32_t length : {5000u, 5u << 20}) {
    const TestChunk chunk = make_chunk(length, length);
    ASSERT_TRUE(put(*first, put_args(chunk)));
    PutArgs again = put_args(chunk, {machines_[1].id, machines_[2].id});
    again.resume = true;
    again.sync = true;
    const auto outcome = put(*first, std::move(again));
    ASSERT_TRUE(outcome) << outcome.error().to_string();
    EXPECT_EQ(outcome->stored_on.size(), 3u);
    EXPECT_EQ(outcome->synced_on.size(), 3u);
    for (const Machine& machine : machines_) EXPECT_EQ(fetch(*client(machine), chunk), "right");
  }
}

TEST_F(StorageServerTest, CarriesManySmallChunksOnOneStream) {
  start_all(2);
  const auto first = client(machines_[0]);
  constexpr std::uint64_t kCount = 2000;
  std::vector<TestChunk> chunks;
  for (std::uint64_t serial = 1; serial <= kCount; ++serial) chunks.push_back(make_chunk(serial, 1500));
  std::atomic<std::uint64_t> left{kCount};
  std::atomic<std::uint64_t> good{0};
  std::promise<void> all;
  for (const TestChunk& chunk : chunks) {
    PutArgs args = put_args(chunk, {machines_[1].id});
    args.sync = chunk.meta.chunk.serial() % 10 == 0;
    first->put(std::move(args), [&](const Result<PutOutcome>& outcome) {
      if (outcome && outcome->failed.empty()) ++good;
      if (--left == 0) all.set_value();
    });
  }
  all.get_future().get();
  EXPECT_EQ(good, kCount);
  const auto second = client(machines_[1]);
  for (std::uint64_t i = 0; i < kCount; i += 97) EXPECT_EQ(fetch(*second, chunks[i]), "right");
}

TEST_F(StorageServerTest, ReadsAnyRange) {
  start_all(1);
  const auto server = client(machines_[0]);
  const TestChunk chunk = make_chunk(1, (4 << 20) + 321);
  ASSERT_TRUE(put(*server, put_args(chunk)));
  std::mt19937 random(5);
  for (int i = 0; i < 60; ++i) {
    const std::uint32_t offset = random() % chunk.meta.length;
    const std::uint32_t length = 1 + random() % (chunk.meta.length - offset);
    EXPECT_EQ(fetch(*server, chunk, offset, length), "right") << offset << "+" << length;
  }
  EXPECT_EQ(fetch(*server, chunk, 4 << 20, 322), "invalid");
  EXPECT_EQ(fetch(*server, make_chunk(2, 100)), "not_found");
}

TEST_F(StorageServerTest, NeverHandsOutWrongBytes) {
  start_all(1);
  const auto server = client(machines_[0]);
  const TestChunk chunk = make_chunk(1, 200'000);
  ASSERT_TRUE(put(*server, put_args(chunk)));
  const auto path = machines_[0].directory / "segments" / segment_file_name(1);
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(4096 + 4096 + 70'000);
  file.put('!');
  file.close();
  EXPECT_EQ(fetch(*server, chunk), "corrupt") << "found by the reader";
  EXPECT_EQ(fetch(*server, chunk, 69'999, 100), "corrupt") << "found by the server";
  EXPECT_EQ(fetch(*server, chunk, 0, 65536), "right") << "other blocks are not affected";
}

TEST_F(StorageServerTest, LetsAReaderOnItsMachineReadLargeRangesFromItsFiles) {
  ::setenv("DFS_RUN_DIRECTORY", root_.path().c_str(), 1);
  start_all(1);
  const std::string address = machines_[0].server->address();
  machines_[0].server.reset();
  start(machines_[0], address);  // a known port has a unix socket beside it
  const Counter& shown = metrics().counter("dfs_storage_get_local_bytes_total", "");
  const double before = shown.value();
  const TestChunk chunk = make_chunk(1, (4 << 20) + 321);
  const auto remote = client(machines_[0]);
  ASSERT_TRUE(put(*remote, put_args(chunk)));
  EXPECT_EQ(fetch(*remote, chunk), "right");
  EXPECT_EQ(shown.value(), before) << "who does not ask for it gets bytes";

  const auto local = GrpcStorageClient::create(
      {.cluster = "cluster-1", .local_reader = std::make_shared<LocalReader>(LocalReader::Options{})},
      cluster_.table()->servers.at(machines_[0].id), [this] { return cluster_.table(); },
      SystemClock::instance());
  EXPECT_EQ(fetch(*local, chunk, 1 << 20, 3 << 20), "right");
  EXPECT_EQ(shown.value(), before + (3 << 20));
  EXPECT_EQ(fetch(*local, chunk), "right");
  EXPECT_EQ(fetch(*local, chunk, 70'000, 1 << 20), "right") << "no whole blocks";
  EXPECT_EQ(fetch(*local, make_chunk(2, 1 << 20)), "not_found");

  const auto path = machines_[0].directory / "segments" / segment_file_name(1);
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(4096 + 4096 + 70'000);
  file.put('!');
  file.close();
  EXPECT_EQ(fetch(*local, chunk), "corrupt");
  EXPECT_EQ(fetch(*local, chunk, 1 << 20, 3 << 20), "right");
}

TEST_F(StorageServerTest, StoresNothingThatArrivesDamaged) {
  start_all(2);
  const auto first = client(machines_[0]);
  TestChunk chunk = make_chunk(1, 100'000);
  chunk.sums[1] ^= 1;
  EXPECT_EQ(put_error(*first, put_args(chunk, {machines_[1].id})), Errc::corrupt);
  EXPECT_EQ(fetch(*first, chunk), "not_found");
  EXPECT_EQ(fetch(*client(machines_[1]), chunk), "not_found");
}

TEST_F(StorageServerTest, RefusesOldEpochsAndForeignClusters) {
  start_all(1);
  cluster_.set_epoch(GroupId{3}, Epoch{5});
  machines_[0].server.reset();
  start(machines_[0]);
  const auto server = client(machines_[0]);
  PutArgs args = put_args(make_chunk(1, 100));
  args.epoch = Epoch{4};
  const TestChunk chunk = make_chunk(1, 100);
  args.pieces = {chunk.view()};
  EXPECT_EQ(put_error(*server, args), Errc::stale_epoch);
  args.epoch = Epoch{5};
  EXPECT_EQ(put_error(*server, args), Errc::ok);
  EXPECT_EQ(put_error(*client(machines_[0], "cluster-9"), args), Errc::wrong_cluster);
}

TEST_F(StorageServerTest, TakesNothingFromASessionThatHasEnded) {
  cluster_.set_sessions(SessionId{5}, {SessionId{2}, SessionId{4}});
  start_all(1);
  const auto server = client(machines_[0]);
  const TestChunk chunk = make_chunk(1, 5 << 20);
  PutArgs args = put_args(chunk);
  for (const bool resume : {false, true}) {
    args.resume = resume;
    args.session = SessionId{3};
    EXPECT_EQ(put_error(*server, args), Errc::session_lost);
  }
  EXPECT_EQ(fetch(*server, chunk), "not_found");
  for (const std::uint64_t session : {2, 4, 5, 99, 0}) {
    args.session = SessionId{session};
    EXPECT_EQ(put_error(*server, args), Errc::ok) << "of session " << session;
  }
}

// Decided where the client sends to; the first server was told before session 1 ended.
TEST_F(StorageServerTest, PassesOnWhatItTookWhateverTheOthersKnowOfTheSession) {
  cluster_.set_sessions(SessionId{2}, {SessionId{1}});
  start_all(1);
  cluster_.set_sessions(SessionId{2}, {});
  start_all(1);
  for (const std::uint32_t length : {5000u, 5u << 20}) {
    const TestChunk chunk = make_chunk(length, length);
    PutArgs args = put_args(chunk, {machines_[1].id});
    args.session = SessionId{1};
    EXPECT_EQ(put_error(*client(machines_[1]), args), Errc::session_lost);
    const auto outcome = put(*client(machines_[0]), args);
    ASSERT_TRUE(outcome) << outcome.error().to_string();
    EXPECT_EQ(outcome->stored_on.size(), 2u);
    EXPECT_EQ(fetch(*client(machines_[1]), chunk), "right");
  }
}

TEST_F(StorageServerTest, KeepsWhatItAcknowledgedOverARestart) {
  start_all(1);
  const TestChunk chunk = make_chunk(1, 3 << 20);
  ASSERT_TRUE(put(*client(machines_[0]), put_args(chunk)));
  const ServerId id = machines_[0].id;
  machines_[0].server.reset();
  start(machines_[0]);
  EXPECT_EQ(machines_[0].id, id);
  EXPECT_EQ(fetch(*client(machines_[0]), chunk), "right");
}

TEST_F(StorageServerTest, SyncsChunksByName) {
  start_all(1);
  const auto server = client(machines_[0]);
  const TestChunk chunk = make_chunk(1, 5000);
  ASSERT_TRUE(put(*server, put_args(chunk)));
  const auto sync = [&](std::vector<ChunkId> chunks) {
    std::promise<Result<void>> answered;
    server->sync(std::move(chunks), [&](Result<void> result) { answered.set_value(std::move(result)); });
    return answered.get_future().get();
  };
  EXPECT_TRUE(sync({chunk.meta.chunk}));
  EXPECT_EQ(sync({chunk.meta.chunk, ChunkId(GroupId{3}, 2)}).error().code, Errc::not_found);
}

TEST_F(StorageServerTest, IsNotHurtByNonsenseOnTheWire) {
  start_all(1);
  struct Nonsense final : StreamUser {
    bool next_message(grpc::ByteBuffer& message) override {
      if (std::exchange(sent, true)) return false;
      const grpc::Slice slice(text);
      message = grpc::ByteBuffer(&slice, 1);
      return true;
    }
    void on_message(grpc::ByteBuffer) override { ++answers; }
    void on_end(Error why) override { ended.set_value(std::move(why)); }
    std::string text;
    bool sent = false;
    int answers = 0;
    std::promise<Error> ended;
  };
  const auto loop = CompletionLoop::shared();
  std::mt19937 random(3);
  for (const char* method : {"/dfs.v1.StorageService/Put", "/dfs.v1.StorageService/Get"}) {
    for (int i = 0; i < 20; ++i) {
      Nonsense nonsense;
      nonsense.text.resize(random() % 300);
      for (char& letter : nonsense.text) letter = static_cast<char>(random());
      loop->unattended_begins();
      const auto stream = StreamClient::open(
          loop, make_channel(dial_target(machines_[0].server->address())), method, nonsense);
      EXPECT_EQ(nonsense.ended.get_future().get().code, Errc::bad_message);
      loop->unattended_ends();
      EXPECT_EQ(nonsense.answers, 0);
    }
  }
  const TestChunk chunk = make_chunk(1, 5000);
  EXPECT_TRUE(put(*client(machines_[0]), put_args(chunk)));
}

TEST_F(StorageServerTest, IsUsedByOneProcessAtATime) {
  start_all(1);
  StorageConfig config;
  config.data_directories = {machines_[0].directory};
  config.listen_address = "127.0.0.1:0";
  const auto second = StorageServer::start(config, std::make_unique<FakeCluster::Client>(cluster_));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::busy);
}

TEST_F(StorageServerTest, EndsWhenTheClusterRefusesIt) {
  cluster_.refuses = true;
  StorageConfig config;
  config.data_directories = {root_.path() / "x"};
  config.listen_address = "127.0.0.1:0";
  const auto server = StorageServer::start(config, std::make_unique<FakeCluster::Client>(cluster_));
  ASSERT_TRUE(server);
  const auto waited = (*server)->wait_registered(std::chrono::seconds(10));
  ASSERT_FALSE(waited);
  EXPECT_EQ(waited.error().code, Errc::wrong_cluster);
}

}  // namespace
}  // namespace dfs::storage
