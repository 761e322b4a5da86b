#include "common/rpc/grpc_storage_client.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <map>
#include <mutex>
#include <thread>

#include "common/base/checksum.h"
#include "common/rpc/completion_loop.h"
#include "common/rpc/handler.h"
#include "common/rpc/protocol.h"
#include "common/rpc/storage_messages.h"
#include "common/rpc/stream_server.h"
#include "dfs/v1/storage.pb.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temporary_directory.h"

namespace dfs {
namespace {

using namespace std::chrono_literals;

// A storage server that keeps chunks in memory and misbehaves on request.
struct FakeStorage {
  std::mutex mutex;  // of all that is not atomic
  std::map<ChunkId, std::string> chunks;
  std::map<ChunkId, std::string> partial;
  std::vector<PutPart> parts;
  std::size_t greetings = 0;
  std::string cluster = "home";
  std::uint32_t server = 3;
  std::uint32_t version = kProtocolVersion;
  bool corrupts = false;
  std::string file;                  // what is asked for "local" is said to be here
  std::size_t local_questions = 0;
  std::size_t other_questions = 0;
  std::atomic<bool> breaks{false};   // the next message ends its stream
  std::atomic<bool> silent{false};   // takes everything and answers nothing
  std::atomic<int> connections{0};
};

class FakePut final : public StreamHandler {
 public:
  FakePut(FakeStorage& storage, std::shared_ptr<StreamPeer> peer)
      : storage_(storage), peer_(std::move(peer)) {}
  Reading on_message(grpc::ByteBuffer message) override {
    if (storage_.breaks.exchange(false)) {
      peer_->close({Errc::unavailable, "broken on purpose"});
      return Reading::pause;
    }
    auto decoded = decode_put_part(message);
    EXPECT_TRUE(decoded) << decoded.error().to_string();
    const std::lock_guard lock(storage_.mutex);
    const PutPart& part = decoded->part;
    storage_.greetings += part.greeting.has_value();
    storage_.parts.push_back(part);
    if (storage_.silent) return Reading::go_on;
    peer_->send(encode(store(part, decoded->payload)));
    return Reading::go_on;
  }
  void on_end() override {}

 private:
  PutAnswer store(const PutPart& part, const FramePayload& payload) {
    std::string& bytes = storage_.partial[part.chunk];
    PutAnswer answer;
    answer.chunk = part.chunk;
    if (!part.query) {
      bytes.resize(part.offset + payload.size());
      payload.copy_to(reinterpret_cast<std::byte*>(bytes.data()) + part.offset);
      const BufferView view = as_bytes(bytes).subspan(part.offset);
      EXPECT_TRUE(checksums_hold(view, part.checksums.data(), part.checksums.size()));
    }
    answer.have = static_cast<std::uint32_t>(bytes.size());
    if (part.query || bytes.size() < part.length) return answer;
    storage_.chunks[part.chunk] = bytes;
    answer.done = true;
    answer.outcome.stored_on = {ServerId{storage_.server}};
    return answer;
  }

  FakeStorage& storage_;
  const std::shared_ptr<StreamPeer> peer_;
};

class FakeGet final : public StreamHandler {
 public:
  FakeGet(FakeStorage& storage, std::shared_ptr<StreamPeer> peer)
      : storage_(storage), peer_(std::move(peer)) {}
  Reading on_message(grpc::ByteBuffer message) override {
    if (storage_.breaks.exchange(false)) {
      peer_->close({Errc::unavailable, "broken on purpose"});
      return Reading::pause;
    }
    const auto question = decode_get_question(message);
    EXPECT_TRUE(question);
    const std::lock_guard lock(storage_.mutex);
    storage_.greetings += question->greeting.has_value();
    if (storage_.silent) return Reading::go_on;
    local_ = question->local;
    ++(local_ ? storage_.local_questions : storage_.other_questions);
    for (std::uint32_t i = 0; i < question->ranges.size(); ++i)
      answer(question->id, i, question->ranges[i], i + 1 == question->ranges.size());
    return Reading::go_on;
  }
  void on_end() override {}

 private:
  void answer(std::uint64_t id, std::uint32_t index, const GetRange& range, bool last) {
    GetPart part;
    part.id = id;
    part.range = index;
    const auto found = storage_.chunks.find(range.chunk);
    if (found == storage_.chunks.end()) {
      part.error = Error{Errc::not_found, "no such chunk"};
      part.last = last;
      peer_->send(encode(part));
      return;
    }
    const BufferView all = as_bytes(found->second);
    part.whole_blocks = range.offset % kBlockSize == 0 &&
                        (range.length % kBlockSize == 0 ||
                         range.offset + range.length == all.size());
    for (std::uint32_t at = range.offset; at < range.offset + range.length;) {
      const std::uint32_t size = std::min(kFrameBytesMax, range.offset + range.length - at);
      const BufferView pieces[] = {all.subspan(at, size)};
      part.offset = at;
      part.checksums = part.whole_blocks ? block_checksums(pieces[0])
                                         : std::vector<Checksum>{checksum_of(pieces[0])};
      if (storage_.corrupts) ++part.checksums.front();
      at += size;
      part.last = last && at == range.offset + range.length;
      if (local_ && part.whole_blocks) {
        part.place = FilePlace{storage_.file, part.offset, size};
        peer_->send(encode(part));
      } else {
        peer_->send(encode(part, pieces));
      }
    }
  }

  bool local_ = false;
  FakeStorage& storage_;
  const std::shared_ptr<StreamPeer> peer_;
};

class StorageClientTest : public testing::Test {
 protected:
  void start(const std::string& address = "127.0.0.1:0") {
    StreamServer::Options options;
    options.listen_address = address;
    auto server = StreamServer::start(
        options,
        {{"/dfs.v1.StorageService/Put",
          [this](std::shared_ptr<StreamPeer> peer) {
            return std::make_unique<FakePut>(storage_, std::move(peer));
          }},
         {"/dfs.v1.StorageService/Get",
          [this](std::shared_ptr<StreamPeer> peer) {
            return std::make_unique<FakeGet>(storage_, std::move(peer));
          }}},
        {{"/dfs.v1.StorageService/Identify",
          inline_unary_method<v1::IdentifyRequest, v1::IdentifyResponse>(
              [this](const v1::IdentifyRequest&) -> Result<v1::IdentifyResponse> {
                ++storage_.connections;
                const std::lock_guard lock(storage_.mutex);
                v1::IdentifyResponse response;
                response.set_cluster(storage_.cluster);
                response.set_server(storage_.server);
                response.set_protocol_version(storage_.version);
                return response;
              })},
         {"/dfs.v1.StorageService/Sync",
          inline_unary_method<v1::SyncChunksRequest, v1::SyncChunksResponse>(
              [this](const v1::SyncChunksRequest& request) -> Result<v1::SyncChunksResponse> {
                const std::lock_guard lock(storage_.mutex);
                v1::SyncChunksResponse response;
                for (const std::uint64_t chunk : request.chunks())
                  if (!storage_.chunks.contains(ChunkId{chunk})) response.add_missing(chunk);
                return response;
              })}});
    ASSERT_TRUE(server) << server.error().to_string();
    server_ = std::move(*server);
    address_ = server_->address();
  }

  void SetUp() override {
    start();
    connect();
  }
  void connect(StorageClientOptions options = {}) {
    if (options.cluster.empty()) options.cluster = "home";
    ServerInfo info;
    info.server = ServerId{3};
    info.address = address_;
    client_ = GrpcStorageClient::create(options, info, [this] { return table_; }, clock_);
  }

  static ChunkId chunk(std::uint64_t serial) { return ChunkId{GroupId{1}, serial}; }
  static std::string some_bytes(std::size_t size) {
    std::string bytes(size, '\0');
    for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 31 + i / 4096);
    return bytes;
  }
  static PutArgs put_args(ChunkId chunk, const std::string& bytes) {
    PutArgs args;
    args.chunk = chunk;
    args.pieces = {as_bytes(bytes)};
    args.checksums = block_checksums(as_bytes(bytes));
    return args;
  }

  Result<PutOutcome> put(PutArgs args) {
    std::atomic<bool> finished{false};
    Result<PutOutcome> outcome;
    client_->attend(
        [&] {
          client_->put(std::move(args), [&](Result<PutOutcome> result) {
            outcome = std::move(result);
            finished.store(true);
          });
        },
        [&] { return finished.load(); }, nullptr);
    return outcome;
  }
  std::vector<Result<void>> get(std::vector<GetArgs> ranges) {
    std::atomic<bool> finished{false};
    std::vector<Result<void>> results;
    client_->attend(
        [&] {
          client_->get(std::move(ranges), [&](std::vector<Result<void>> got) {
            results = std::move(got);
            finished.store(true);
          });
        },
        [&] { return finished.load(); }, nullptr);
    return results;
  }
  Result<void> sync(std::vector<ChunkId> chunks) {
    std::atomic<bool> finished{false};
    Result<void> outcome;
    client_->sync(std::move(chunks), [&](Result<void> result) {
      outcome = std::move(result);
      finished.store(true);
    });
    while (!finished) std::this_thread::yield();
    return outcome;
  }
  std::string stored(ChunkId id) {
    const std::lock_guard lock(storage_.mutex);
    return storage_.chunks[id];
  }

  FakeClock clock_;
  FakeStorage storage_;
  GroupTablePtr table_ = std::make_shared<GroupTable>();
  std::unique_ptr<StreamServer> server_;
  std::string address_;
  std::shared_ptr<GrpcStorageClient> client_;
};

std::byte* data_of(std::string& text) { return reinterpret_cast<std::byte*>(text.data()); }

TEST_F(StorageClientTest, PutsAndGetsChunksOfEverySize) {
  std::uint64_t serial = 1;
  for (const std::size_t size : {std::size_t{1}, std::size_t{4096}, std::size_t{kBlockSize},
                                 std::size_t{kBlockSize + 1}, std::size_t{MiB}, 8 * MiB + 17}) {
    const std::string bytes = some_bytes(size);
    const ChunkId id = chunk(serial++);
    const auto outcome = put(put_args(id, bytes));
    ASSERT_TRUE(outcome) << outcome.error().to_string();
    EXPECT_EQ(outcome->stored_on, std::vector<ServerId>{ServerId{3}});
    EXPECT_EQ(stored(id), bytes);
    std::string back(size, '\0');
    const auto results = get({{id, 0, static_cast<std::uint32_t>(size), data_of(back)}});
    ASSERT_EQ(results.size(), 1u);
    ASSERT_TRUE(results[0]) << results[0].error().to_string();
    EXPECT_EQ(back, bytes);
  }
  EXPECT_EQ(storage_.connections, 1);
  EXPECT_EQ(storage_.greetings, 2u) << "one for each stream";
}

TEST_F(StorageClientTest, SendsAChunkThatLiesInPieces) {
  const std::string bytes = some_bytes(3 * MiB);
  PutArgs args = put_args(chunk(1), bytes);
  args.pieces = {as_bytes(bytes).first(kBlockSize),
                 as_bytes(bytes).subspan(kBlockSize, 20 * kBlockSize),
                 as_bytes(bytes).subspan(21 * kBlockSize)};
  ASSERT_TRUE(put(std::move(args)));
  EXPECT_EQ(stored(chunk(1)), bytes);
}

TEST_F(StorageClientTest, CarriesManyPutsAndGetsAtOnce) {
  constexpr int kChunks = 200;
  std::vector<std::string> bytes;
  for (int i = 0; i < kChunks; ++i) bytes.push_back(some_bytes(1000 + i * 701));
  std::atomic<int> stored_count{0};
  for (int i = 0; i < kChunks; ++i)
    client_->put(put_args(chunk(i + 1), bytes[i]), [&](Result<PutOutcome> outcome) {
      EXPECT_TRUE(outcome) << outcome.error().to_string();
      ++stored_count;
    });
  while (stored_count < kChunks) std::this_thread::yield();
  std::vector<std::thread> readers;
  for (int reader = 0; reader < 4; ++reader)
    readers.emplace_back([&] {
      for (int i = 0; i < kChunks; ++i) {
        std::string back(bytes[i].size(), '\0');
        const auto results =
            get({{chunk(i + 1), 0, static_cast<std::uint32_t>(back.size()), data_of(back)}});
        ASSERT_TRUE(results.at(0));
        ASSERT_EQ(back, bytes[i]);
      }
    });
  for (std::thread& reader : readers) reader.join();
}

TEST_F(StorageClientTest, GetsSeveralRangesAndReportsEachByItself) {
  const std::string bytes = some_bytes(2 * MiB + 5);
  ASSERT_TRUE(put(put_args(chunk(1), bytes)));
  std::string first(100, '\0');
  std::string second(10, '\0');
  std::string third(MiB + 5, '\0');
  const auto results = get({{chunk(1), 12345, 100, data_of(first)},
                            {chunk(2), 0, 10, data_of(second)},
                            {chunk(1), MiB, MiB + 5, data_of(third)}});
  ASSERT_EQ(results.size(), 3u);
  EXPECT_TRUE(results[0]);
  EXPECT_EQ(first, bytes.substr(12345, 100));
  EXPECT_EQ(results[1].error().code, Errc::not_found);
  EXPECT_TRUE(results[2]);
  EXPECT_EQ(third, bytes.substr(MiB));
}

// A server on this machine whose chunk 1 lies in a file.
class LocalStorageClientTest : public StorageClientTest {
 protected:
  void SetUp() override {
    start();
    const std::string address = address_;
    server_.reset();
    start(address);  // a known port has a unix socket beside it
    const auto path = directory_.path() / "file";
    storage_.file = path.string();
    bytes_ = some_bytes(3 * MiB + 5);
    storage_.chunks[chunk(1)] = bytes_;
    write_file(bytes_);
    connect({.cluster = "home", .local_reader = reader_});
  }
  void write_file(const std::string& bytes) {
    std::ofstream(storage_.file, std::ios::binary | std::ios::trunc) << bytes;
  }
  // "right", "wrong", or the error.
  std::string read(std::uint32_t offset, std::uint32_t length) {
    std::string back(length, '\0');
    const auto results = get({{chunk(1), offset, length, data_of(back)}});
    if (!results.at(0)) return std::string(name_of(results[0].error().code));
    return back == bytes_.substr(offset, length) ? "right" : "wrong";
  }
  std::size_t asked_locally() {
    const std::lock_guard lock(storage_.mutex);
    return storage_.local_questions;
  }
  std::size_t asked_otherwise() {
    const std::lock_guard lock(storage_.mutex);
    return storage_.other_questions;
  }

  TemporaryDirectory directory_;
  std::shared_ptr<LocalReader> reader_ = std::make_shared<LocalReader>(LocalReader::Options{});
  std::string bytes_;
};

TEST_F(LocalStorageClientTest, ReadsFromTheFileWhatTheServerSaysIsThere) {
  storage_.corrupts = false;
  EXPECT_EQ(read(0, 3 * MiB + 5), "right");
  EXPECT_EQ(read(kBlockSize, MiB), "right");
  EXPECT_EQ(read(17, 100), "right") << "sent: no whole blocks";
  EXPECT_EQ(asked_locally(), 3u);
  EXPECT_EQ(asked_otherwise(), 0u);
  EXPECT_EQ(reader_->open_count(), 1u);
}

TEST_F(LocalStorageClientTest, AsksForTheBytesWhenTheFileHasOthers) {
  std::string other = bytes_;
  other[2 * MiB] ^= 1;
  write_file(other);
  EXPECT_EQ(read(0, 3 * MiB), "right");
  EXPECT_EQ(asked_locally(), 1u);
  EXPECT_EQ(asked_otherwise(), 1u);
  write_file(bytes_.substr(0, MiB));
  EXPECT_EQ(read(0, 3 * MiB), "right");
  EXPECT_EQ(asked_locally(), 2u) << "a chunk that moved is no reason to give up";
}

TEST_F(LocalStorageClientTest, AsksForBytesOnlyWhenTheFilesCannotBeOpened) {
  storage_.file = "/nowhere/file";
  EXPECT_EQ(read(0, 3 * MiB), "right");
  EXPECT_EQ(read(0, MiB), "right");
  EXPECT_EQ(asked_locally(), 1u);
  EXPECT_EQ(asked_otherwise(), 2u);
}

TEST_F(LocalStorageClientTest, TellsEachRangeItsOwnOutcome) {
  std::string other = bytes_;
  other[0] ^= 1;
  write_file(other);
  std::string first(MiB, '\0');
  std::string second(MiB, '\0');
  std::string third(MiB, '\0');
  const auto results = get({{chunk(1), 0, MiB, data_of(first)},
                            {chunk(2), 0, MiB, data_of(second)},
                            {chunk(1), MiB, MiB, data_of(third)}});
  ASSERT_TRUE(results.at(0));
  EXPECT_EQ(first, bytes_.substr(0, MiB));
  EXPECT_EQ(results.at(1).error().code, Errc::not_found);
  ASSERT_TRUE(results.at(2));
  EXPECT_EQ(third, bytes_.substr(MiB, MiB));
  EXPECT_EQ(asked_otherwise(), 1u);
}

TEST_F(StorageClientTest, NeverAcceptsBytesThatDoNotMatchTheirChecksum) {
  const std::string bytes = some_bytes(100'000);
  ASSERT_TRUE(put(put_args(chunk(1), bytes)));
  storage_.corrupts = true;
  std::string back(bytes.size(), '\0');
  EXPECT_EQ(get({{chunk(1), 0, 100'000, data_of(back)}}).at(0).error().code, Errc::corrupt);
  EXPECT_EQ(get({{chunk(1), 5, 10, data_of(back)}}).at(0).error().code, Errc::corrupt);
  storage_.corrupts = false;
  EXPECT_TRUE(get({{chunk(1), 5, 10, data_of(back)}}).at(0));
}

TEST_F(StorageClientTest, ABrokenConnectionFailsEverythingAndTheNextCallConnectsAgain) {
  const std::string bytes = some_bytes(5 * MiB);
  ASSERT_TRUE(put(put_args(chunk(1), bytes)));
  storage_.breaks = true;
  const auto broken = put(put_args(chunk(2), bytes));
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().code, Errc::unavailable);
  EXPECT_NE(broken.error().text.find(address_), std::string::npos);
  EXPECT_TRUE(put(put_args(chunk(2), bytes)));
  EXPECT_EQ(stored(chunk(2)), bytes);
  EXPECT_EQ(storage_.connections, 2);
}

TEST_F(StorageClientTest, ResumesWhatTheServerHasInPart) {
  const std::string bytes = some_bytes(4 * MiB);
  storage_.partial[chunk(1)] = bytes.substr(0, 2 * MiB + 100);
  PutArgs args = put_args(chunk(1), bytes);
  args.resume = true;
  ASSERT_TRUE(put(std::move(args)));
  EXPECT_EQ(stored(chunk(1)), bytes);
  ASSERT_GE(storage_.parts.size(), 2u);
  EXPECT_TRUE(storage_.parts[0].query);
  EXPECT_EQ(storage_.parts[1].offset, 2 * MiB);
}

TEST_F(StorageClientTest, FailsAtOnceWhileTheLastFailureIsFresh) {
  server_.reset();
  const std::string bytes = some_bytes(10);
  EXPECT_EQ(put(put_args(chunk(1), bytes)).error().code, Errc::unavailable);
  start(address_);
  EXPECT_EQ(put(put_args(chunk(1), bytes)).error().code, Errc::unavailable) << "the pause runs";
  EXPECT_EQ(storage_.connections, 0);
  clock_.advance(1s);
  const auto outcome = put(put_args(chunk(1), bytes));
  EXPECT_TRUE(outcome) << outcome.error().to_string();
}

TEST_F(StorageClientTest, RefusesAnotherServerClusterOrVersion) {
  const std::string bytes = some_bytes(10);
  storage_.server = 4;
  EXPECT_EQ(put(put_args(chunk(1), bytes)).error().code, Errc::unavailable);
  storage_.server = 3;
  storage_.cluster = "elsewhere";
  clock_.advance(2s);
  EXPECT_EQ(put(put_args(chunk(1), bytes)).error().code, Errc::wrong_cluster);
  storage_.cluster = "home";
  storage_.version = kProtocolVersion + 1;
  clock_.advance(2s);
  const Error refusal = put(put_args(chunk(1), bytes)).error();
  EXPECT_EQ(refusal.code, Errc::wrong_version);
  EXPECT_EQ(refusal.text, fmt::format("storage server 3 at {}: it speaks protocol version {}, this "
                                      "program version {}",
                                      address_, kProtocolVersion + 1, kProtocolVersion));
}

TEST_F(StorageClientTest, GivesUpACallThatDoesNotGoOn) {
  const std::string bytes = some_bytes(MiB);
  ASSERT_TRUE(put(put_args(chunk(1), bytes)));
  storage_.silent = true;
  std::string back(10, '\0');
  std::atomic<int> finished{0};
  std::atomic<Errc> outcomes[2];
  client_->put(put_args(chunk(2), bytes), [&](Result<PutOutcome> result) {
    outcomes[0] = result.error().code;
    ++finished;
  });
  client_->get({{chunk(1), 0, 10, data_of(back)}}, [&](std::vector<Result<void>> results) {
    outcomes[1] = results.at(0).error().code;
    ++finished;
  });
  for (;;) {
    const std::lock_guard lock(storage_.mutex);
    if (storage_.parts.size() >= 2) break;
  }
  clock_.advance(16s);
  while (finished < 2) std::this_thread::yield();
  EXPECT_EQ(outcomes[0], Errc::timed_out);
  EXPECT_EQ(outcomes[1], Errc::timed_out);
}

TEST_F(StorageClientTest, SyncNamesAChunkThatIsMissing) {
  const std::string bytes = some_bytes(10);
  ASSERT_TRUE(put(put_args(chunk(1), bytes)));
  EXPECT_TRUE(sync({chunk(1)}));
  EXPECT_EQ(sync({chunk(1), chunk(2)}).error().code, Errc::not_found);
}

TEST_F(StorageClientTest, AnInterruptEndsTheWaitAndNotTheCall) {
  storage_.silent = true;
  std::string back(10, '\0');
  std::atomic<bool> finished{false};
  Interrupt interrupt;
  interrupt.interrupt();
  client_->attend(
      [&] {
        client_->get({{chunk(1), 0, 10, data_of(back)}},
                     [&](std::vector<Result<void>>) { finished.store(true); });
      },
      [&] { return finished.load(); }, &interrupt);
  EXPECT_FALSE(finished);
  client_.reset();
  EXPECT_TRUE(finished) << "the end of the client completes it";
}

TEST_F(StorageClientTest, MayBeLetGoInACompletion) {
  std::atomic<bool> finished{false};
  auto* const client = client_.get();
  client->get({{chunk(1), 0, 1, nullptr}},
              [&, held = std::move(client_)](std::vector<Result<void>>) mutable {
                held.reset();
                finished.store(true);
              });
  while (!finished) std::this_thread::yield();
}

TEST_F(StorageClientTest, ForwardTargetsCarryTheAddressesOfTheTable) {
  GroupTable table;
  ServerInfo other;
  other.server = ServerId{8};
  other.address = "10.0.0.8:7400";
  other.machine = "m";
  table.servers[ServerId{8}] = other;
  table_ = std::make_shared<const GroupTable>(table);
  const std::string bytes = some_bytes(10);
  PutArgs args = put_args(chunk(1), bytes);
  args.forward = {ServerId{8}, ServerId{9}};
  ASSERT_TRUE(put(std::move(args)));
  const auto& forward = storage_.parts.at(0).forward;
  ASSERT_EQ(forward.size(), 2u);
  EXPECT_EQ(forward[0].address, "10.0.0.8:7400");
  EXPECT_EQ(forward[1].address, "") << "the server reports it as failed";
}

TEST_F(StorageClientTest, APoolKnowsTheServersOfTheTable) {
  GroupTable table;
  ServerInfo info;
  info.server = ServerId{3};
  info.address = address_;
  table.servers[ServerId{3}] = info;
  table_ = std::make_shared<const GroupTable>(table);
  StorageClientOptions options;
  options.cluster = "home";
  const auto pool = GrpcStoragePool::create(options, [this] { return table_; }, clock_);
  const auto client = pool->client(ServerId{3});
  EXPECT_EQ(pool->client(ServerId{3}), client);
  std::atomic<int> finished{0};
  client->sync({chunk(1)}, [&](Result<void> result) {
    EXPECT_EQ(result.error().code, Errc::not_found);
    ++finished;
  });
  pool->client(ServerId{77})->get({{chunk(1), 0, 1, nullptr}}, [&](std::vector<Result<void>> results) {
    EXPECT_EQ(results.at(0).error().code, Errc::unavailable);
    ++finished;
  });
  while (finished < 2) std::this_thread::yield();

  table.servers[ServerId{3}].address = "127.0.0.1:1";
  table_ = std::make_shared<const GroupTable>(table);
  EXPECT_NE(pool->client(ServerId{3}), client) << "it moved";
}

}  // namespace
}  // namespace dfs
