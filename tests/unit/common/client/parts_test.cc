// The smaller parts of the engine, each alone.
#include <thread>

#include <gtest/gtest.h>

#include "common/client/bad_copies.h"
#include "common/client/chunk_allocator.h"
#include "common/client/client_config.h"
#include "common/client/extent_loader.h"
#include "common/client/extent_map.h"
#include "common/client/server_health.h"
#include "common/client/write_buffer.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_meta_client.h"

namespace dfs {
namespace {

using std::chrono::seconds;

TEST(WriteBuffer, NeverHandsOutMoreThanItHas) {
  WriteBuffer buffer(256 * KiB);
  BlockList some(buffer);
  EXPECT_FALSE(buffer.try_take(5, some));
  EXPECT_EQ(some.size(), 0U);
  EXPECT_TRUE(buffer.try_take(3, some));
  {
    BlockList more(buffer);
    EXPECT_TRUE(buffer.try_take(1, more));
    EXPECT_FALSE(buffer.try_take(1, more));
    EXPECT_EQ(buffer.used_bytes(), 256 * KiB);
  }
  EXPECT_EQ(buffer.used_bytes(), 192 * KiB);
}

TEST(WriteBuffer, WakesWhoWaitsForRoomAndShowsThatSomebodyDoes) {
  FakeClock clock;
  WriteBuffer buffer(128 * KiB);
  auto taken = std::make_unique<BlockList>(buffer);
  ASSERT_TRUE(buffer.try_take(2, *taken));
  std::thread waiter([&] {
    EXPECT_EQ(buffer.wait_for_room(1, {clock, nullptr, std::nullopt}), Wake::ready);
  });
  while (!buffer.pressed()) std::this_thread::yield();
  taken.reset();
  waiter.join();
  EXPECT_FALSE(buffer.pressed());
}

TEST(ServerHealth, AsksActiveLivingServersFirstAndTakesTurns) {
  FakeClock clock;
  ServerHealth health(clock);
  GroupTable table;
  Group group;
  group.group = GroupId{1};
  group.members = {{ServerId{1}, MemberState::active},
                   {ServerId{2}, MemberState::joining},
                   {ServerId{3}, MemberState::active},
                   {ServerId{4}, MemberState::leaving}};
  table.groups[GroupId{1}] = group;
  for (std::uint32_t id = 1; id <= 4; ++id) {
    table.servers[ServerId{id}].server = ServerId{id};
    table.servers[ServerId{id}].alive = true;
  }
  EXPECT_EQ(health.read_order(table, GroupId{1}, 0)[0], ServerId{1});
  EXPECT_EQ(health.read_order(table, GroupId{1}, 2)[0], ServerId{3});
  EXPECT_EQ(health.read_order(table, GroupId{1}, 0).size(), 4U);
  EXPECT_EQ(health.write_order(table, GroupId{1}, 0).size(), 3U) << "leaving ones get nothing new";
  EXPECT_TRUE(health.read_order(table, GroupId{9}, 0).empty());

  health.failed(ServerId{1});
  EXPECT_EQ(health.read_order(table, GroupId{1}, 0)[0], ServerId{3});
  clock.advance(seconds{3});
  EXPECT_EQ(health.read_order(table, GroupId{1}, 0)[0], ServerId{1});
  table.servers[ServerId{1}].alive = false;
  EXPECT_EQ(health.read_order(table, GroupId{1}, 0)[0], ServerId{3});
}

TEST(BadCopies, AreNewsOnceAndForgottenAfterAWhile) {
  FakeClock clock;
  BadCopies copies(clock);
  const ChunkId chunk{GroupId{1}, 1};
  EXPECT_TRUE(copies.note(chunk, ServerId{1}));
  EXPECT_FALSE(copies.note(chunk, ServerId{1}));
  EXPECT_TRUE(copies.is_bad(chunk, ServerId{1}));
  EXPECT_FALSE(copies.is_bad(chunk, ServerId{2}));
  clock.advance(seconds{30});
  EXPECT_FALSE(copies.is_bad(chunk, ServerId{1}));
  EXPECT_TRUE(copies.note(chunk, ServerId{1}));
}

class AllocatorTest : public ::testing::Test {
 protected:
  ChunkAllocator::Wanted wanted(ChunkAllocator::Kind kind, std::vector<ServerId> avoid = {}) {
    return {kRootInode, 0, 0, kind, std::move(avoid)};
  }
  FakeClock clock_;
  FakeStoragePool storage_{4};
  FakeMetaServer server_{storage_, {{1, 2}, {3, 4}}, clock_};
  FakeMetaClient meta_{server_, clock_};
  ChunkAllocator allocator_{meta_, clock_};
};

TEST_F(AllocatorTest, GivesNeighbouringNamesToSmallChunksAndTurnsToWholeOnes) {
  const ChunkId a = allocator_.take(wanted(ChunkAllocator::Kind::small), nullptr)->chunk;
  const ChunkId b = allocator_.take(wanted(ChunkAllocator::Kind::small), nullptr)->chunk;
  EXPECT_EQ(b.value(), a.value() + 1);
  const ChunkId c = allocator_.take(wanted(ChunkAllocator::Kind::whole), nullptr)->chunk;
  const ChunkId d = allocator_.take(wanted(ChunkAllocator::Kind::whole), nullptr)->chunk;
  EXPECT_NE(c.group(), d.group());
  EXPECT_EQ(server_.allocations(), 1U);
}

TEST_F(AllocatorTest, AvoidsGroupsOfServersThatFailed) {
  for (int i = 0; i < 10; ++i) {
    const auto grant = allocator_.take(wanted(ChunkAllocator::Kind::whole, {ServerId{1}}), nullptr);
    EXPECT_EQ(grant->chunk.group(), GroupId{2});
  }
  // Where there is no other group, any will do.
  EXPECT_TRUE(allocator_.take(wanted(ChunkAllocator::Kind::whole, {ServerId{1}, ServerId{3}}), nullptr));
}

TEST_F(AllocatorTest, NeverGivesANameTwiceAndRefillsAheadOfNeed) {
  std::set<ChunkId> seen;
  for (int i = 0; i < 2000; ++i) {
    const auto kind = i % 3 == 0 ? ChunkAllocator::Kind::whole : ChunkAllocator::Kind::small;
    EXPECT_TRUE(seen.insert(allocator_.take(wanted(kind), nullptr)->chunk).second);
    if (!allocator_.runs_low()) continue;
    ASSERT_TRUE(allocator_.refill(nullptr));
  }
  EXPECT_LE(server_.allocations(), 6U);
}

TEST(ExtentMapTest, KnowsAPrefixOfTheFileAndWhereItsHolesAre) {
  ExtentMap map;
  const ChunkId chunk{GroupId{1}, 1};
  map.load(0, {{100, 50, chunk, 0}}, false);
  EXPECT_EQ(map.known_through(), 150U);
  map.load(150, {{200, 50, chunk, 50}}, true);
  EXPECT_EQ(map.known_through(), ExtentMap::kEverything);
  EXPECT_EQ(map.list(0, 1000).size(), 2U);
  EXPECT_EQ(map.least_length(chunk), 100U);
  map.punch(120, 10);
  EXPECT_EQ(map.list(0, 1000).size(), 3U);
  map.truncate(125);
  EXPECT_EQ(map.list(0, 1000).size(), 1U);
  map.reset();
  EXPECT_EQ(map.known_through(), 0U);
}

TEST(ExtentMapTest, BelievesTheServerAboutHolesWhereSomethingWasKnown) {
  ExtentMap map;
  map.put({500, 50, ChunkId{GroupId{1}, 1}, 0});
  map.load(0, {{900, 50, ChunkId{GroupId{1}, 2}, 0}}, true);
  EXPECT_EQ(map.list(0, 1000).size(), 1U);
}

// A metadata server that has lost changes which it had told of.
class OlderMetaServer final : public MetaClient {
 public:
  static constexpr std::uint64_t kDataChange = 4;
  static constexpr int kCallsMax = 50;

  Result<MetaResult> call(MetaArgs, const Caller&, Interrupt*) override {
    if (++calls_ > kCallsMax) return fail(Errc::overloaded, "it is asked again and again");
    return ExtentsResult{.extents = {}, .complete = true, .data_change = kDataChange};
  }
  Result<void> call_later(MetaArgs, const Caller&, std::function<void(Result<MetaResult>)>) override {
    return fail(Errc::unavailable);
  }
  void post(MetaArgs) override {}
  GroupTablePtr group_table() const override { return nullptr; }
  std::uint32_t default_chunk_size() const override { return kChunkSizeMax; }
  SessionId session() const override { return SessionId{1}; }

 private:
  int calls_ = 0;
};

TEST(ExtentLoader, BelievesAServerThatKeepsTellingLessThanItHasTold) {
  WriteBuffer buffer(1 * MiB);
  InodeState state(InodeId{7}, buffer);
  {
    const std::lock_guard lock(state.mutex);
    state.learn_locked({.inode = InodeId{7}, .data_change = OlderMetaServer::kDataChange + 1}, SteadyTime{});
  }
  OlderMetaServer server;
  const auto loaded = load_extents(server, state, ExtentMap::kEverything, nullptr);
  ASSERT_TRUE(loaded) << loaded.error().to_string();
  const std::lock_guard lock(state.mutex);
  EXPECT_TRUE(state.extents_usable_locked(ExtentMap::kEverything));
  EXPECT_EQ(state.contents_change, OlderMetaServer::kDataChange);
}

TEST(ClientConfigTest, NamesTheFirstThingWrong) {
  EXPECT_TRUE(ClientConfig{}.validate());
  ClientConfig config;
  config.write_buffer_bytes = 1;
  EXPECT_NE(config.validate().error().text.find("write_buffer_bytes"), std::string::npos);
  config = {};
  config.read_ahead_bytes_max = config.read_cache_bytes;
  EXPECT_NE(config.validate().error().text.find("read_ahead_bytes_max"), std::string::npos);
  config = {};
  config.uploads_max = 0;
  EXPECT_FALSE(config.validate());
}

}  // namespace
}  // namespace dfs
