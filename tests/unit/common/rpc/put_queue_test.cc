#include "common/rpc/put_queue.h"

#include <gtest/gtest.h>

#include "common/rpc/protocol.h"

namespace dfs {
namespace {

constexpr SteadyTime kNow{std::chrono::hours{1}};

class PutQueueTest : public testing::Test {
 protected:
  PutCallPtr make_call(std::uint64_t serial, std::size_t length, bool resume = false) {
    bytes_.resize(std::max(bytes_.size(), length), 'b');
    PutArgs args;
    args.chunk = ChunkId{GroupId{1}, serial};
    args.epoch = Epoch{4};
    args.pieces = {as_bytes(bytes_).first(length)};
    args.checksums.assign(block_count(length), 0);
    args.resume = resume;
    return std::make_shared<PutCall>(std::move(args), std::vector<ForwardTarget>{}, nullptr);
  }
  std::optional<DecodedPut> next(PutQueue& queue) {
    grpc::ByteBuffer frame;
    if (!queue.next_frame(frame, std::nullopt, kNow)) return std::nullopt;
    auto decoded = decode_put_part(frame);
    EXPECT_TRUE(decoded) << decoded.error().to_string();
    return std::move(*decoded);
  }
  PutAnswer have(std::uint64_t serial, std::uint32_t bytes) {
    PutAnswer answer;
    answer.chunk = ChunkId{GroupId{1}, serial};
    answer.have = bytes;
    return answer;
  }
  std::string bytes_;
};

TEST_F(PutQueueTest, CutsAChunkIntoFramesAtBlockBorders) {
  PutQueue queue(16 * MiB);
  ASSERT_TRUE(queue.add(make_call(1, 2 * MiB + 100)));
  std::vector<std::pair<std::uint32_t, std::size_t>> parts;
  while (auto part = next(queue)) {
    parts.emplace_back(part->part.offset, part->payload.size());
    EXPECT_EQ(part->part.epoch, Epoch{part->part.offset == 0 ? 4u : 0u});
  }
  const std::vector<std::pair<std::uint32_t, std::size_t>> expected = {
      {0, MiB}, {MiB, MiB}, {2 * MiB, 100}};
  EXPECT_EQ(parts, expected);
}

TEST_F(PutQueueTest, SendsNoFrameWhileTheWindowIsFull) {
  PutQueue queue(2 * MiB);
  ASSERT_TRUE(queue.add(make_call(1, 4 * MiB)));
  EXPECT_TRUE(next(queue));
  EXPECT_TRUE(next(queue));
  EXPECT_FALSE(next(queue));
  ASSERT_TRUE(queue.take_answer(have(1, MiB), kNow));
  EXPECT_EQ(queue.in_flight(), MiB);
  EXPECT_TRUE(next(queue));
  EXPECT_FALSE(next(queue));
}

TEST_F(PutQueueTest, GivesTheWindowBackWhenAPutIsOver) {
  PutQueue queue(MiB);
  ASSERT_TRUE(queue.add(make_call(1, MiB)));
  ASSERT_TRUE(queue.add(make_call(2, 10)));
  EXPECT_TRUE(next(queue));
  EXPECT_FALSE(next(queue));
  PutAnswer done = have(1, MiB);
  done.done = true;
  done.outcome.stored_on = {ServerId{1}};
  const auto finished = queue.take_answer(std::move(done), kNow);
  ASSERT_TRUE(finished && *finished);
  EXPECT_EQ((*finished)->result->stored_on.size(), 1u);
  EXPECT_EQ(queue.in_flight(), 0u);
  EXPECT_TRUE(next(queue));
}

TEST_F(PutQueueTest, ResumesWhereTheServerStopped) {
  PutQueue queue(16 * MiB);
  ASSERT_TRUE(queue.add(make_call(1, 3 * MiB, true)));
  const auto query = next(queue);
  ASSERT_TRUE(query);
  EXPECT_TRUE(query->part.query);
  EXPECT_EQ(query->part.epoch, Epoch{4});
  EXPECT_FALSE(next(queue)) << "the answer decides what is sent";
  ASSERT_TRUE(queue.take_answer(have(1, MiB + 5), kNow));
  const auto part = next(queue);
  ASSERT_TRUE(part);
  EXPECT_EQ(part->part.offset, MiB);
}

TEST_F(PutQueueTest, SendsTheLastBlockAgainWhenAllIsThere) {
  PutQueue queue(16 * MiB);
  ASSERT_TRUE(queue.add(make_call(1, kBlockSize + 7, true)));
  ASSERT_TRUE(next(queue));
  ASSERT_TRUE(queue.take_answer(have(1, kBlockSize + 7), kNow));
  const auto part = next(queue);
  ASSERT_TRUE(part);
  EXPECT_EQ(part->part.offset, kBlockSize);
  EXPECT_EQ(part->payload.size(), 7u);
}

TEST_F(PutQueueTest, RefusesTwoPutsOfOneChunkAndWhatIsNoChunk) {
  PutQueue queue(MiB);
  ASSERT_TRUE(queue.add(make_call(1, 10)));
  EXPECT_EQ(queue.add(make_call(1, 10)).error().code, Errc::busy);
  EXPECT_EQ(queue.add(make_call(2, 0)).error().code, Errc::invalid);
  auto unsummed = make_call(3, 10);
  unsummed->args.checksums.clear();
  EXPECT_EQ(queue.add(unsummed).error().code, Errc::invalid);
}

TEST_F(PutQueueTest, FindsPutsThatDoNotMove) {
  PutQueue queue(MiB);
  ASSERT_TRUE(queue.add(make_call(1, 10)));
  ASSERT_TRUE(queue.add(make_call(2, 10)));
  ASSERT_TRUE(next(queue));
  EXPECT_TRUE(queue.take_stuck(kNow).empty());
  const auto stuck = queue.take_stuck(kNow + std::chrono::seconds{1});
  ASSERT_EQ(stuck.size(), 1u) << "the second one has not begun";
  EXPECT_EQ(queue.in_flight(), 0u);
}

TEST_F(PutQueueTest, RefusesAnAnswerThatClaimsMoreThanThereIs) {
  PutQueue queue(MiB);
  ASSERT_TRUE(queue.add(make_call(1, 10)));
  EXPECT_FALSE(queue.take_answer(have(1, 11), kNow));
  const auto unknown = queue.take_answer(have(9, 11), kNow);
  ASSERT_TRUE(unknown);
  EXPECT_FALSE(*unknown);
}

}  // namespace
}  // namespace dfs
