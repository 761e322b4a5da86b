#include "server/storage/heartbeat.h"

#include <deque>

#include "tests/unit/server/storage/store_fixture.h"

namespace dfs::storage {
namespace {

using std::chrono::milliseconds;

// Answers what the test has prepared; remembers what it was asked.
class ScriptedMeta final : public ClusterClient {
 public:
  Result<RegisterResult> register_server(const RegisterArgs& args) override {
    registrations.push_back(args);
    return take(register_answers);
  }
  Result<HeartbeatResult> heartbeat(const HeartbeatArgs& args) override {
    beats.push_back(args);
    return take(beat_answers);
  }

  Result<RepairResult> repair(const RepairArgs&) override {
    return fail(Errc::unavailable, "nobody listens");
  }

  std::vector<RegisterArgs> registrations;
  std::vector<HeartbeatArgs> beats;
  std::deque<Result<RegisterResult>> register_answers;
  std::deque<Result<HeartbeatResult>> beat_answers;

 private:
  template <typename T>
  static Result<T> take(std::deque<Result<T>>& answers) {
    if (answers.empty()) return fail(Errc::unavailable, "nobody listens");
    auto answer = std::move(answers.front());
    answers.pop_front();
    return answer;
  }
};

class HeartbeatTest : public testing::Test {
 protected:
  HeartbeatTest() {
    StoreSetOptions options;
    options.directories = {"/a"};
    options.store.segment_bytes = 16 * MiB;
    options.store.reserved_bytes = 1;
    options.lock = false;
    stores_ = *StoreSet::open(disk_, clock_, options, [](const auto&, IndexStart) {
      return Result<std::unique_ptr<KvStore>>(std::make_unique<MemoryKvStore>());
    });
    heartbeat_ = std::make_unique<Heartbeat>(
        meta_, *stores_, facts(), milliseconds{5'000},
        Heartbeat::Listeners{
            .groups = [this](const GroupTable& table) { learnt_.push_back(table.version); },
            .sessions = [this](const LiveSessionsPtr& live) { marks_.push_back(live->mark); }});
  }
  static ServerFacts facts() {
    ServerFacts facts;
    facts.address = "127.0.0.1:7400";
    return facts;
  }
  static RegisterResult registration() {
    RegisterResult result;
    result.cluster = "cluster-1";
    result.server = ServerId{4};
    result.heartbeat_interval = milliseconds{700};
    result.group_table.version = 3;
    return result;
  }
  static HeartbeatResult unknown() {
    HeartbeatResult result;
    result.register_again = true;
    return result;
  }
  static HeartbeatResult deletion(std::vector<ChunkId> chunks, bool more = false) {
    HeartbeatResult result;
    result.to_delete = std::move(chunks);
    result.more = more;
    return result;
  }
  static LiveSessionsPtr sessions(std::uint64_t mark) {
    LiveSessions live;
    live.mark = mark;
    return std::make_shared<LiveSessions>(live);
  }
  void register_it() {
    meta_.register_answers.push_back(registration());
    heartbeat_->step();
  }

  FakeDisk disk_;
  FakeClock clock_;
  ScriptedMeta meta_;
  std::unique_ptr<StoreSet> stores_;
  std::vector<std::uint64_t> learnt_;
  std::vector<std::uint64_t> marks_;
  std::unique_ptr<Heartbeat> heartbeat_;
};

TEST_F(HeartbeatTest, RegistersAFreshServerAndRemembersWhatItBecame) {
  EXPECT_FALSE(heartbeat_->membership());
  register_it();
  EXPECT_EQ(meta_.registrations[0].cluster, "");
  EXPECT_EQ(meta_.registrations[0].server, ServerId{0});
  EXPECT_FALSE(meta_.registrations[0].identity.empty());
  ASSERT_TRUE(heartbeat_->membership());
  EXPECT_EQ(heartbeat_->membership()->server, ServerId{4});
  EXPECT_EQ(stores_->identity().cluster, "cluster-1") << "on disk";
  EXPECT_EQ(learnt_, std::vector<std::uint64_t>{3});
  EXPECT_TRUE(heartbeat_->wait_registered(milliseconds{0}).value());

  meta_.beat_answers.push_back(HeartbeatResult{});
  EXPECT_EQ(heartbeat_->step(), milliseconds{700}) << "the interval the server gave";
  EXPECT_EQ(meta_.beats[0].server, ServerId{4});
  EXPECT_EQ(meta_.beats[0].group_table_version, 3u);
}

TEST_F(HeartbeatTest, TriesForEverWithGrowingPauses) {
  std::vector<int> pauses;
  for (int i = 0; i < 9; ++i) pauses.push_back(static_cast<int>(heartbeat_->step().count()));
  EXPECT_EQ(pauses, (std::vector<int>{100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000}));
  EXPECT_FALSE(heartbeat_->wait_registered(milliseconds{0}).value());
  register_it();
  EXPECT_TRUE(heartbeat_->wait_registered(milliseconds{0}).value());
  EXPECT_EQ(heartbeat_->step(), milliseconds{100}) << "the pause starts small again";
}

TEST_F(HeartbeatTest, GivesUpOnlyOnARefusal) {
  meta_.register_answers.push_back(fail(Errc::wrong_cluster, "this is cluster-9"));
  heartbeat_->step();
  const auto waited = heartbeat_->wait_registered(milliseconds{0});
  ASSERT_FALSE(waited);
  EXPECT_EQ(waited.error().code, Errc::wrong_cluster);
}

TEST_F(HeartbeatTest, LeavesTheWordsOfARefusalToWhoWaits) {
  meta_.register_answers.push_back(fail(Errc::wrong_version, "this is version 9"));
  testing::internal::CaptureStderr();
  EXPECT_EQ(heartbeat_->step(), milliseconds{100});
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  EXPECT_NE(heartbeat_->wait_registered(milliseconds{0}).error().text.find("version 9"),
            std::string::npos);
}

TEST_F(HeartbeatTest, LogsARefusalThatComesAfterItWasRegistered) {
  register_it();
  meta_.beat_answers.push_back(unknown());
  heartbeat_->step();
  meta_.register_answers.push_back(fail(Errc::wrong_version, "this is version 9"));
  testing::internal::CaptureStderr();
  heartbeat_->step();
  EXPECT_NE(testing::internal::GetCapturedStderr().find("version 9"), std::string::npos);
  EXPECT_TRUE(heartbeat_->wait_registered(milliseconds{0}).value()) << "it goes on";
}

TEST_F(HeartbeatTest, RefusesToChangeClusters) {
  register_it();
  meta_.beat_answers.push_back(unknown());
  heartbeat_->step();
  RegisterResult other = registration();
  other.cluster = "cluster-2";
  meta_.register_answers.push_back(other);
  heartbeat_->step();
  EXPECT_EQ(stores_->identity().cluster, "cluster-1");
}

TEST_F(HeartbeatTest, RegistersAgainWhenItIsNotKnownAnyMore) {
  register_it();
  meta_.beat_answers.push_back(unknown());
  EXPECT_EQ(heartbeat_->step(), milliseconds{0});
  register_it();
  ASSERT_EQ(meta_.registrations.size(), 2u);
  EXPECT_EQ(meta_.registrations[1].cluster, "cluster-1");
  EXPECT_EQ(meta_.registrations[1].server, ServerId{4});
  EXPECT_EQ(meta_.registrations[1].identity, meta_.registrations[0].identity);
}

TEST_F(HeartbeatTest, LearnsWhichSessionsThereAreAndSaysWhatItKnows) {
  RegisterResult first = registration();
  first.sessions = sessions(8);
  meta_.register_answers.push_back(first);
  heartbeat_->step();
  EXPECT_EQ(marks_, std::vector<std::uint64_t>{8}) << "before anybody may put";
  meta_.beat_answers.push_back(HeartbeatResult{});
  heartbeat_->step();
  EXPECT_EQ(meta_.beats.back().sessions_mark, 8u);
  HeartbeatResult news;
  news.sessions = sessions(7);
  meta_.beat_answers.push_back(news);
  heartbeat_->step();
  heartbeat_->step();
  EXPECT_EQ(meta_.beats.back().sessions_mark, 7u);
  EXPECT_EQ(marks_, (std::vector<std::uint64_t>{8, 7}));
}

TEST_F(HeartbeatTest, DeletesWhatItIsToldAndSaysSoNextTime) {
  register_it();
  const TestChunk chunk = make_chunk(1, 5000);
  ChunkStore& store = *stores_->stores().front();
  ASSERT_TRUE(put(store, chunk));
  const std::vector<ChunkId> victims = {chunk.meta.chunk, ChunkId(GroupId{3}, 99)};
  meta_.beat_answers.push_back(deletion(victims));
  EXPECT_EQ(heartbeat_->step(), milliseconds{0}) << "the acknowledgement does not wait";
  EXPECT_EQ(look(store, chunk), "not_found");
  heartbeat_->step();  // is not answered
  EXPECT_EQ(meta_.beats.back().deleted, victims);
  meta_.beat_answers.push_back(HeartbeatResult{});
  heartbeat_->step();
  EXPECT_EQ(meta_.beats.back().deleted, victims) << "said until it is heard";
  meta_.beat_answers.push_back(HeartbeatResult{});
  heartbeat_->step();
  EXPECT_TRUE(meta_.beats.back().deleted.empty());
}

TEST_F(HeartbeatTest, DoesNotFallSilentOverALongListOfDeletions) {
  register_it();
  std::vector<ChunkId> many;
  for (std::uint64_t serial = 1; serial <= 3000; ++serial) many.push_back(ChunkId(GroupId{3}, serial));
  meta_.beat_answers.push_back(deletion(many));
  EXPECT_EQ(heartbeat_->step(), milliseconds{0});
  meta_.beat_answers.push_back(HeartbeatResult{});
  heartbeat_->step();
  EXPECT_EQ(meta_.beats.back().deleted.size(), 1024u) << "the rest is asked for again";
}

TEST_F(HeartbeatTest, AcknowledgesNoDeletionThatFailed) {
  register_it();
  const TestChunk chunk = make_chunk(1, 5000);
  ASSERT_TRUE(put(*stores_->stores().front(), chunk));
  disk_.fail_next(FakeDisk::Operation::punch, Errc::no_memory);
  meta_.beat_answers.push_back(deletion({chunk.meta.chunk}, true));
  EXPECT_EQ(heartbeat_->step(), milliseconds{700}) << "no hurry to fail again";
  meta_.beat_answers.push_back(HeartbeatResult{});
  heartbeat_->step();
  EXPECT_TRUE(meta_.beats.back().deleted.empty());
}

TEST_F(HeartbeatTest, ReportsAFailingDisk) {
  register_it();
  disk_.fail_next(FakeDisk::Operation::write, Errc::io);
  ASSERT_FALSE(put(*stores_->stores().front(), make_chunk(1, 5000)));
  meta_.beat_answers.push_back(HeartbeatResult{});
  heartbeat_->step();
  ASSERT_EQ(meta_.beats.back().problems.size(), 1u);
  EXPECT_EQ(meta_.beats.back().available, 0u);
}

}  // namespace
}  // namespace dfs::storage
