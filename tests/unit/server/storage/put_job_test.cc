// A chunk on its way in, without a stream.
#include "server/storage/put_job.h"

#include <algorithm>

#include "common/base/guarded.h"
#include "common/rpc/protocol.h"
#include "server/storage/store_set.h"
#include "tests/unit/server/storage/store_fixture.h"

namespace dfs::storage {
namespace {

class RecordingAnswers final : public PutAnswers {
 public:
  void answer(const PutAnswer& answer) override {
    answers_.with([&](auto& all) { all.push_back(answer); });
  }
  void job_over(ChunkId) override {}
  std::vector<PutAnswer> all() const {
    return answers_.with([](const auto& answers) { return answers; });
  }

 private:
  Guarded<std::vector<PutAnswer>> answers_;
};

class PutJobTest : public testing::Test {
 protected:
  PutJobTest() {
    StoreSetOptions options;
    options.directories = {"/a"};
    options.store.segment_bytes = 16 * MiB;
    options.store.reserved_bytes = 1;
    options.lock = false;
    stores_ = *StoreSet::open(disk_, clock_, options, [](const auto&, IndexStart) {
      return Result<std::unique_ptr<KvStore>>(std::make_unique<MemoryKvStore>());
    });
    context_ = std::make_unique<ServiceContext>(
        ServiceContext{.config = config_, .clock = clock_, .stores = *stores_,
                       .disk = threads_, .replicator = replicator_, .received = budget_,
                       .sending = budget_, .epochs = epochs_, .sessions = sessions_,
                       .metrics = metrics_});
  }
  void end(SessionId session) {
    const SessionId next{session.value() + 1};
    sessions_.learn(std::make_shared<LiveSessions>(LiveSessions{next, {}, 1}));
  }
  static PutPart part(const TestChunk& chunk, std::uint32_t offset, std::uint32_t length) {
    PutPart part;
    part.chunk = chunk.meta.chunk;
    part.length = chunk.meta.length;
    part.offset = offset;
    part.checksums = block_checksums(chunk.view().subspan(offset, length));
    return part;
  }
  std::shared_ptr<const ReceivedBytes> bytes(const TestChunk& chunk, const PutPart& part) {
    auto copy = std::make_shared<std::vector<std::byte>>(chunk.bytes);
    const std::size_t length = std::min<std::size_t>(kFrameBytesMax, copy->size() - part.offset);
    const BufferView view = BufferView(*copy).subspan(part.offset, length);
    return std::make_shared<ReceivedBytes>(ChunkBytes{copy, view, part.checksums, true}, budget_);
  }
  // Everything that was taken is written.
  void settle() { threads_.stop(); }

  FakeDisk disk_;
  FakeClock clock_;
  StorageConfig config_;
  StorageMetrics metrics_;
  GroupEpochs epochs_;
  SessionFence sessions_;
  Executor threads_{{.name = "disk", .threads = 1, .queue_max = 64}};
  Replicator replicator_{ForwardOptions{}, clock_};
  const std::shared_ptr<ByteBudget> budget_ =
      std::make_shared<ByteBudget>(64 * MiB, [](const std::function<void()>&) {});
  std::unique_ptr<StoreSet> stores_;
  std::unique_ptr<ServiceContext> context_;
  const std::shared_ptr<RecordingAnswers> answers_ = std::make_shared<RecordingAnswers>();
};

TEST_F(PutJobTest, DoesNotOutliveTheSessionWhoseChunkItIs) {
  const TestChunk chunk = make_chunk(1, 2 * kFrameBytesMax);
  PutPart first = part(chunk, 0, kFrameBytesMax);
  first.session = SessionId{7};
  const auto job = std::make_shared<PutJob>(*context_, "cluster-1", ServerId{1}, answers_, first);
  job->take(first, bytes(chunk, first));
  end(SessionId{7});
  // The last part does not say again whose it is.
  const PutPart last = part(chunk, kFrameBytesMax, kFrameBytesMax);
  job->take(last, bytes(chunk, last));
  settle();
  // That the first part is written may be said before or after.
  const auto answers = answers_->all();
  const auto refusal = std::find_if(answers.begin(), answers.end(), [](const PutAnswer& answer) {
    return answer.error.has_value();
  });
  ASSERT_NE(refusal, answers.end());
  EXPECT_EQ(refusal->error->code, Errc::session_lost);
  for (const PutAnswer& answer : answers) EXPECT_FALSE(answer.done);
  EXPECT_EQ(look(*stores_->stores().front(), chunk), "not_found");
}

TEST_F(PutJobTest, ThatIsNobodysGoesOnWhoeverEnds) {
  const TestChunk chunk = make_chunk(1, 2 * kFrameBytesMax);
  const PutPart first = part(chunk, 0, kFrameBytesMax);
  const auto job = std::make_shared<PutJob>(*context_, "cluster-1", ServerId{1}, answers_, first);
  job->take(first, bytes(chunk, first));
  end(SessionId{7});
  const PutPart last = part(chunk, kFrameBytesMax, kFrameBytesMax);
  job->take(last, bytes(chunk, last));
  settle();
  ASSERT_FALSE(answers_->all().empty());
  EXPECT_TRUE(answers_->all().back().done);
  EXPECT_EQ(look(*stores_->stores().front(), chunk), "right");
}

}  // namespace
}  // namespace dfs::storage
