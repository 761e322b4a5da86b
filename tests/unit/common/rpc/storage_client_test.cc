#include "tests/unit/common/rpc/storage_client_fixture.h"

#include <fmt/format.h>

#include "common/rpc/completion_loop.h"

namespace dfs {
namespace {

using namespace std::chrono_literals;

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
