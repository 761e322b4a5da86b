// What a storage server does when it is told to repair: real stores on a disk
// in memory, and doubles of the other servers.
#include "server/storage/repairer.h"

#include <algorithm>
#include <deque>
#include <future>

#include "server/storage/chunk_lists.h"
#include "server/storage/copy_check.h"
#include "server/storage/scrubber.h"
#include "tests/support/fake_storage_pool.h"
#include "tests/unit/server/storage/store_fixture.h"

namespace dfs::storage {
namespace {

using std::chrono::milliseconds;

class RepairingMeta final : public ClusterClient {
 public:
  Result<RegisterResult> register_server(const RegisterArgs&) override {
    return fail(Errc::unsupported);
  }
  Result<HeartbeatResult> heartbeat(const HeartbeatArgs&) override { return fail(Errc::unsupported); }
  Result<RepairResult> repair(const RepairArgs& args) override {
    asked.push_back(args);
    if (answers.empty()) return fail(Errc::unavailable, "nobody listens");
    RepairResult answer = std::move(answers.front());
    answers.pop_front();
    return answer;
  }
  std::vector<RepairArgs> asked;
  std::deque<RepairResult> answers;
};

constexpr GroupId kGroup{3};
const ServerId kSelf{1}, kSecond{2}, kThird{3}, kStranger{4};

class RepairerTest : public testing::Test {
 protected:
  RepairerTest() {
    StoreSetOptions options;
    options.directories = {"/a"};
    options.store.segment_bytes = 64 * MiB;
    options.store.reserved_bytes = 1;
    options.lock = false;
    stores_ = *StoreSet::open(disk_, clock_, options, [](const auto&, IndexStart) {
      return Result<std::unique_ptr<KvStore>>(std::make_unique<MemoryKvStore>());
    });
    Group group;
    group.group = kGroup;
    for (const ServerId server : {kSelf, kSecond, kThird}) group.members.push_back({server});
    table_.groups[kGroup] = group;
    for (const ServerId server : {kSelf, kSecond, kThird, kStranger}) {
      table_.servers[server].server = server;
      table_.servers[server].alive = true;
    }
    use_rate(0);
  }
  void use_rate(std::uint64_t bytes_per_second) {
    repairer_ = std::make_unique<Repairer>(
        Repairer::Parts{.meta = meta_, .stores = *stores_, .servers = servers_, .clock = clock_,
                        .membership = [] { return Membership{"cluster-1", kSelf}; },
                        .table = [this] { return std::make_shared<const GroupTable>(table_); },
                        .damaged = [this] { return std::exchange(damaged_, {}); }},
        bytes_per_second);
  }

  ChunkStore& store() { return *stores_->stores()[0]; }
  void put_on(ServerId server, const TestChunk& chunk) {
    PutArgs args;
    args.chunk = chunk.meta.chunk;
    args.pieces = {chunk.view()};
    args.checksums = chunk.sums;
    std::promise<void> done;
    servers_.client(server)->put(std::move(args), [&](Result<PutOutcome> outcome) {
      EXPECT_TRUE(outcome);
      done.set_value();
    });
    done.get_future().get();
  }
  void damage(const TestChunk& chunk) {
    const auto place = store().locate(chunk.meta.chunk, {0, chunk.meta.length}, ReadFrom::disk);
    ASSERT_TRUE(place && *place);
    disk_.flip((*place)->file, (*place)->offset + 5);
  }
  static RepairResult to_copy(std::vector<TestChunk> chunks, std::vector<ServerId> sources = {}) {
    RepairResult result;
    for (const TestChunk& chunk : chunks)
      result.to_copy.push_back({chunk.meta.chunk, sources, chunk.meta.length});
    return result;
  }
  // Does all that `result` says, and asks once more; returns what was told then.
  RepairArgs carry_out(RepairResult result) {
    meta_.answers.push_back(std::move(result));
    meta_.answers.emplace_back();
    const std::size_t goal = meta_.asked.size() + 2;
    for (int step = 0; step < 100 && meta_.asked.size() < goal; ++step) {
      clock_.advance(repairer_->step());
    }
    EXPECT_EQ(meta_.asked.size(), goal);
    return meta_.asked.back();
  }

  FakeDisk disk_;
  FakeClock clock_;
  FakeStoragePool servers_{4};
  RepairingMeta meta_;
  GroupTable table_;
  std::vector<ChunkId> damaged_;
  std::unique_ptr<StoreSet> stores_;
  std::unique_ptr<Repairer> repairer_;
};

TEST_F(RepairerTest, CopiesWhatIsMissingAndSaysSo) {
  const TestChunk small = make_chunk(1, 4000), large = make_chunk(2, 20 * MiB);
  for (const TestChunk& chunk : {small, large}) put_on(kThird, chunk);
  const RepairArgs told = carry_out(to_copy({small, large}));
  EXPECT_EQ(told.copied, (std::vector{small.meta.chunk, large.meta.chunk}));
  EXPECT_EQ(told.copied_bytes, 4000u + 20 * MiB);
  EXPECT_EQ(look(store(), small), "right");
  EXPECT_EQ(look(store(), large), "right");
  EXPECT_TRUE(carry_out({}).copied.empty()) << "told once";
}

TEST_F(RepairerTest, OnlySpeaksOfCopiesThatAreStable) {
  const TestChunk chunk = make_chunk(1, 4000);
  put_on(kSecond, chunk);
  disk_.fail_next(FakeDisk::Operation::sync, Errc::io);
  const RepairArgs told = carry_out(to_copy({chunk}));
  EXPECT_TRUE(told.copied.empty());
  ASSERT_EQ(told.failed.size(), 1u);
  EXPECT_FALSE(told.failed[0].nowhere);
}

TEST_F(RepairerTest, LeavesAGoodCopyAlone) {
  const TestChunk chunk = make_chunk(1, 4000);
  ASSERT_TRUE(put(store(), chunk));
  const RepairArgs told = carry_out(to_copy({chunk}));
  EXPECT_EQ(told.copied, std::vector{chunk.meta.chunk});
  EXPECT_EQ(told.copied_bytes, 0u);
  EXPECT_EQ(servers_.gets(), 0u);
}

TEST_F(RepairerTest, AsksTheNextServerWhenOneHasADamagedCopyOrNone) {
  const TestChunk chunk = make_chunk(1, 4000);
  put_on(kSecond, chunk);
  put_on(kStranger, chunk);
  servers_.change(kSecond, [](FakeServerMood& mood) { mood.corrupts = true; });
  EXPECT_EQ(carry_out(to_copy({chunk}, {kStranger})).copied, std::vector{chunk.meta.chunk});
  EXPECT_EQ(look(store(), chunk), "right");
}

TEST_F(RepairerTest, SaysNowhereOnlyWhenEverybodyCouldBeAsked) {
  const TestChunk chunk = make_chunk(1, 4000);
  EXPECT_TRUE(carry_out(to_copy({chunk})).failed.at(0).nowhere);
  servers_.change(kThird, [](FakeServerMood& mood) { mood.silent = true; });
  EXPECT_FALSE(carry_out(to_copy({chunk})).failed.at(0).nowhere) << "one does not answer";
  table_.servers[kThird].alive = false;
  EXPECT_FALSE(carry_out(to_copy({chunk})).failed.at(0).nowhere) << "one is dead";
}

TEST_F(RepairerTest, ReplacesADamagedCopyOnceGoodBytesAreHereAndNotBefore) {
  const TestChunk chunk = make_chunk(1, 300 * KiB);
  ASSERT_TRUE(put(store(), chunk));
  damage(chunk);
  ASSERT_EQ(check_copy(*stores_, chunk.meta.chunk)->state, CopyState::damaged);
  EXPECT_EQ(carry_out(to_copy({chunk})).failed.size(), 1u);
  EXPECT_EQ(check_copy(*stores_, chunk.meta.chunk)->state, CopyState::damaged)
      << "its other blocks may be the last good ones";
  put_on(kThird, chunk);
  EXPECT_EQ(carry_out(to_copy({chunk})).copied, std::vector{chunk.meta.chunk});
  EXPECT_EQ(look(store(), chunk), "right");
}

TEST_F(RepairerTest, DropsAChunkOfAForeignGroupOnceEachMemberHasIt) {
  const TestChunk chunk = make_chunk(1, 4000);
  ASSERT_TRUE(put(store(), chunk));
  RepairResult drop;
  drop.to_drop = {chunk.meta.chunk};
  put_on(kSecond, chunk);
  put_on(kThird, chunk);
  carry_out(drop);
  EXPECT_EQ(look(store(), chunk), "right") << "a member itself";

  std::erase_if(table_.groups[kGroup].members,
                [](const GroupMember& member) { return member.server == kSelf; });
  table_.groups[kGroup].members.push_back({kStranger});
  carry_out(drop);
  EXPECT_EQ(look(store(), chunk), "right") << "one member lacks it";
  put_on(kStranger, chunk);
  servers_.change(kStranger, [](FakeServerMood& mood) { mood.silent = true; });
  carry_out(drop);
  EXPECT_EQ(look(store(), chunk), "right") << "one member does not answer";
  servers_.change(kStranger, [](FakeServerMood& mood) { mood.silent = false; });
  table_.groups[kGroup].members[2].state = MemberState::joining;
  carry_out(drop);
  EXPECT_EQ(look(store(), chunk), "right") << "one member is being filled";
  table_.groups[kGroup].members[2].state = MemberState::active;
  carry_out(drop);
  EXPECT_EQ(look(store(), chunk), "not_found");
}

TEST_F(RepairerTest, DeletesWhatNothingNeeds) {
  const TestChunk chunk = make_chunk(1, 4000);
  ASSERT_TRUE(put(store(), chunk));
  RepairResult result;
  result.to_delete = {chunk.meta.chunk};
  carry_out(result);
  EXPECT_EQ(look(store(), chunk), "not_found");
}

TEST_F(RepairerTest, ListsWhatIsHerePartByPart) {
  std::vector<ChunkId> all;
  for (std::uint64_t serial = 1; serial <= 5; ++serial) {
    ASSERT_TRUE(put(store(), make_chunk(serial, 100)));
    all.push_back(ChunkId{kGroup, serial});
  }
  RepairResult result;
  result.list_groups = true;
  result.list = ListTask{ChunkId{kGroup, 0}, 3, true};
  const RepairArgs told = carry_out(result);
  EXPECT_EQ(told.groups, std::vector{kGroup});
  ASSERT_TRUE(told.listed && told.listed->chunks);
  EXPECT_EQ(*told.listed->chunks, (std::vector{all[0], all[1], all[2]}));
  EXPECT_EQ(told.listed->end, (ChunkId{kGroup, 4}));
  const auto rest = list_chunks(*stores_, {told.listed->end, 3, false});
  ASSERT_TRUE(rest);
  EXPECT_FALSE(rest->chunks);
  EXPECT_EQ(rest->checksum, checksum_of_list({all[3], all[4]}));
  EXPECT_EQ(rest->end, (ChunkId{GroupId{4}, 0}));
}

TEST_F(RepairerTest, CopiesNoFasterThanItMay) {
  use_rate(1 * MiB);
  std::vector<TestChunk> chunks;
  for (std::uint64_t serial = 1; serial <= 6; ++serial) {
    chunks.push_back(make_chunk(serial, 8 * MiB));
    put_on(kSecond, chunks.back());
  }
  const SteadyTime start = clock_.now();
  EXPECT_EQ(carry_out(to_copy(chunks)).copied.size(), 6u);
  EXPECT_GE(clock_.now() - start, std::chrono::seconds{48});
}

TEST_F(RepairerTest, KeepsWhatItHasToSayUntilSomebodyListens) {
  const TestChunk chunk = make_chunk(1, 4000);
  put_on(kSecond, chunk);
  damaged_ = {ChunkId{kGroup, 9}};
  EXPECT_GT(repairer_->step(), milliseconds{0});
  meta_.answers.push_back(to_copy({chunk}));
  repairer_->step();
  EXPECT_EQ(meta_.asked.back().damaged, std::vector{ChunkId(kGroup, 9)});
  repairer_->step();
  repairer_->step();
  repairer_->step();
  EXPECT_EQ(meta_.asked.back().copied, std::vector{chunk.meta.chunk});
}

TEST_F(RepairerTest, AScrubberFindsTheDamagedCopy) {
  const TestChunk good = make_chunk(1, 300 * KiB), bad = make_chunk(2, 300 * KiB);
  ASSERT_TRUE(put(store(), good) && put(store(), bad));
  Scrubber scrubber(*stores_, clock_, 1 * MiB, 0);
  scrubber.step();
  EXPECT_TRUE(scrubber.take_damaged().empty());
  damage(bad);
  std::vector<ChunkId> found;
  milliseconds waited{0};
  for (int step = 0; step < 10 && found.empty(); ++step) {
    waited += scrubber.step();
    found = scrubber.take_damaged();
  }
  EXPECT_EQ(found, std::vector{bad.meta.chunk});
  EXPECT_GT(waited, milliseconds{500}) << "600 KiB at 1 MiB a second";
}

}  // namespace
}  // namespace dfs::storage
