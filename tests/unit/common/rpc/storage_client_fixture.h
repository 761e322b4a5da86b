// A storage server that does what a test says, and a client of it.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/checksum.h"
#include "common/rpc/grpc_storage_client.h"
#include "common/rpc/handler.h"
#include "common/rpc/protocol.h"
#include "common/rpc/storage_messages.h"
#include "common/rpc/stream_server.h"
#include "dfs/v1/storage.pb.h"
#include "tests/support/fake_clock.h"

namespace dfs {

// Keeps chunks in memory and misbehaves on request.
struct FakeStorage {
  std::mutex mutex;  // of all that is not atomic
  std::map<ChunkId, std::string> chunks;
  std::map<ChunkId, std::string> partial;
  std::vector<PutPart> parts;
  std::size_t greetings = 0;
  std::string cluster = "home";
  std::uint32_t server = 3;
  std::uint32_t version = kProtocolVersion;
  std::string file;                  // what is asked for "local" is said to be here
  std::size_t local_questions = 0;
  std::size_t other_questions = 0;
  std::atomic<bool> breaks{false};   // the next message ends its stream
  std::atomic<bool> corrupts{false};
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

inline std::byte* data_of(std::string& text) { return reinterpret_cast<std::byte*>(text.data()); }

}  // namespace dfs
