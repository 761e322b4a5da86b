#include "common/rpc/storage_messages.h"

#include <gtest/gtest.h>

#include "common/rpc/protocol.h"
#include "dfs/v1/storage.pb.h"

namespace dfs {
namespace {

const ChunkId kChunk{GroupId{1}, 2};

PutPart some_part(std::uint32_t length, std::uint32_t offset, std::size_t payload) {
  PutPart part;
  part.chunk = kChunk;
  part.length = length;
  part.offset = offset;
  part.checksums.assign(block_count(payload), 5);
  return part;
}

Errc put_refusal(const PutPart& part, std::size_t payload_bytes) {
  const std::string bytes(payload_bytes, 'x');
  const BufferView pieces[] = {as_bytes(bytes)};
  const auto decoded = decode_put_part(encode(part, pieces));
  return decoded ? Errc::ok : decoded.error().code;
}

TEST(StorageMessages, CarryAPutWithoutLoss) {
  PutPart part = some_part(100, 0, 100);
  part.greeting = StreamGreeting{"cluster", 1};
  part.epoch = Epoch{6};
  part.forward = {{ServerId{2}, "a:1", "/s", "m"}};
  part.sync = true;
  part.capability = "cap";
  part.inode = InodeId{7};
  part.file_offset = 8;
  part.written = 1'700'000'000'000'000'001;
  part.scattered = true;
  part.session = SessionId{9};
  const std::string bytes(100, 'x');
  const BufferView pieces[] = {as_bytes(bytes)};
  const auto decoded = decode_put_part(encode(part, pieces));
  ASSERT_TRUE(decoded) << decoded.error().to_string();
  const PutPart& back = decoded->part;
  ASSERT_TRUE(back.greeting);
  EXPECT_EQ(back.greeting->cluster, "cluster");
  EXPECT_EQ(back.chunk, kChunk);
  EXPECT_EQ(back.length, 100u);
  EXPECT_EQ(back.checksums, part.checksums);
  EXPECT_EQ(back.epoch, Epoch{6});
  ASSERT_EQ(back.forward.size(), 1u);
  EXPECT_EQ(back.forward[0].server, ServerId{2});
  EXPECT_EQ(back.forward[0].machine, "m");
  EXPECT_TRUE(back.sync);
  EXPECT_EQ(back.capability, "cap");
  EXPECT_EQ(back.inode, InodeId{7});
  EXPECT_EQ(back.file_offset, 8u);
  EXPECT_EQ(back.written, 1'700'000'000'000'000'001);
  EXPECT_TRUE(back.scattered);
  EXPECT_EQ(back.session, SessionId{9});
  EXPECT_EQ(decoded->payload.size(), 100u);
}

TEST(StorageMessages, RefuseAPartThatDoesNotFitItsChunk) {
  EXPECT_EQ(put_refusal(some_part(100, 0, 100), 100), Errc::ok);
  EXPECT_EQ(put_refusal(some_part(99, 0, 100), 100), Errc::bad_message) << "longer than the chunk";
  EXPECT_EQ(put_refusal(some_part(200, 0, 100), 100), Errc::bad_message) << "ends inside a block";
  EXPECT_EQ(put_refusal(some_part(200, 100, 100), 100), Errc::bad_message) << "starts inside a block";
  EXPECT_EQ(put_refusal(some_part(kBlockSize + 1, kBlockSize, 1), 1), Errc::ok);
  EXPECT_EQ(put_refusal(some_part(kBlockSize, 2 * kBlockSize, 1), 1), Errc::bad_message);
  EXPECT_EQ(put_refusal(some_part(100, ~std::uint32_t{0} / kBlockSize * kBlockSize, 100), 100),
            Errc::bad_message);
  EXPECT_EQ(put_refusal(some_part(0, 0, 0), 0), Errc::bad_message);
  EXPECT_EQ(put_refusal(some_part(kChunkSizeMax + 1, 0, kBlockSize), kBlockSize), Errc::bad_message);
  EXPECT_EQ(put_refusal(some_part(4 * MiB, 0, kFrameBytesMax + kBlockSize), kFrameBytesMax + kBlockSize),
            Errc::bad_message);
  PutPart unsummed = some_part(100, 0, 100);
  unsummed.checksums.clear();
  EXPECT_EQ(put_refusal(unsummed, 100), Errc::bad_message);
  PutPart query = some_part(100, 0, 0);
  query.query = true;
  EXPECT_EQ(put_refusal(query, 0), Errc::ok);
  EXPECT_EQ(put_refusal(query, 1), Errc::bad_message);
}

TEST(StorageMessages, CarryAnAnswerOfPutWithoutLoss) {
  PutAnswer answer;
  answer.chunk = kChunk;
  answer.have = 5;
  answer.done = true;
  answer.outcome = {{ServerId{1}, ServerId{2}}, {ServerId{1}}, {{ServerId{3}, {Errc::no_space, "full"}}}};
  const auto back = decode_put_answer(encode(answer));
  ASSERT_TRUE(back);
  EXPECT_TRUE(back->done);
  EXPECT_EQ(back->outcome.stored_on, answer.outcome.stored_on);
  EXPECT_EQ(back->outcome.synced_on, answer.outcome.synced_on);
  ASSERT_EQ(back->outcome.failed.size(), 1u);
  EXPECT_EQ(back->outcome.failed[0].second.code, Errc::no_space);
  EXPECT_FALSE(back->error);
}

TEST(StorageMessages, RefuseAGetThatAsksForNothingOrTooMuch) {
  GetQuestion question;
  EXPECT_FALSE(decode_get_question(encode(question)));
  question.ranges.assign(kRangesPerGetMax, {kChunk, 0, 1});
  EXPECT_TRUE(decode_get_question(encode(question)));
  question.ranges.push_back({kChunk, 0, 1});
  EXPECT_FALSE(decode_get_question(encode(question)));
  question.ranges = {{kChunk, kChunkSizeMax, 1}};
  EXPECT_FALSE(decode_get_question(encode(question)));
  question.ranges = {{kChunk, 0, 0}};
  EXPECT_FALSE(decode_get_question(encode(question)));
  question.ranges = {{ChunkId{}, 0, 1}};
  EXPECT_FALSE(decode_get_question(encode(question)));
}

TEST(StorageMessages, RefusePartsWithoutTheirChecksums) {
  const std::string bytes(kBlockSize + 1, 'x');
  const BufferView pieces[] = {as_bytes(bytes)};
  GetPart part;
  EXPECT_FALSE(decode_get_part(encode(part, pieces)));
  part.checksums = {1};
  EXPECT_TRUE(decode_get_part(encode(part, pieces)));
  part.whole_blocks = true;
  EXPECT_FALSE(decode_get_part(encode(part, pieces)));
  part.checksums = {1, 2};
  EXPECT_TRUE(decode_get_part(encode(part, pieces)));
  EXPECT_FALSE(decode_get_part(encode(part))) << "checksums of nothing";
}

TEST(StorageMessages, CarryAPlaceInAFileInsteadOfBytes) {
  GetPart part;
  part.id = 4;
  part.offset = kBlockSize;
  part.whole_blocks = true;
  part.checksums = {5, 6};
  part.place = FilePlace{"/data/segments/1.segment", 8192, kBlockSize + 7};
  const auto decoded = decode_get_part(encode(part));
  ASSERT_TRUE(decoded) << decoded.error().to_string();
  ASSERT_TRUE(decoded->part.place);
  EXPECT_EQ(decoded->part.place->path, "/data/segments/1.segment");
  EXPECT_EQ(decoded->part.place->offset, 8192u);
  EXPECT_EQ(decoded->part.place->length, kBlockSize + 7);
  EXPECT_EQ(decoded->part.checksums, part.checksums);
  EXPECT_EQ(decoded->payload.size(), 0u);

  GetQuestion question;
  question.ranges = {{kChunk, 0, 1}};
  EXPECT_FALSE(decode_get_question(encode(question))->local);
  question.local = true;
  EXPECT_TRUE(decode_get_question(encode(question))->local);
}

TEST(StorageMessages, RefuseAPlaceThatCannotBe) {
  const auto refusal = [](FilePlace place, std::size_t checksums, bool whole_blocks) {
    GetPart part;
    part.whole_blocks = whole_blocks;
    part.checksums.assign(checksums, 5);
    part.place = std::move(place);
    const auto decoded = decode_get_part(encode(part));
    return decoded ? Errc::ok : decoded.error().code;
  };
  EXPECT_EQ(refusal({"/f", 0, 100}, 1, true), Errc::ok);
  EXPECT_EQ(refusal({"f", 0, 100}, 1, true), Errc::bad_message);
  EXPECT_EQ(refusal({"", 0, 100}, 1, true), Errc::bad_message);
  EXPECT_EQ(refusal({"/" + std::string(5000, 'x'), 0, 100}, 1, true), Errc::bad_message);
  EXPECT_EQ(refusal({"/f", 0, 0}, 0, true), Errc::bad_message);
  EXPECT_EQ(refusal({"/f", 0, kFrameBytesMax + 1}, 17, true), Errc::bad_message);
  EXPECT_EQ(refusal({"/f", kFileSizeMax, 100}, 1, true), Errc::bad_message);
  EXPECT_EQ(refusal({"/f", 0, 100}, 2, true), Errc::bad_message);
  EXPECT_EQ(refusal({"/f", 0, 100}, 1, false), Errc::bad_message);
}

TEST(StorageMessages, AGreetingMustAgree) {
  EXPECT_EQ(check_greeting(std::nullopt, "c").error().code, Errc::bad_message);
  EXPECT_EQ(check_greeting(StreamGreeting{"c", kProtocolVersion + 1}, "c").error().code,
            Errc::wrong_version);
  EXPECT_EQ(check_greeting(StreamGreeting{"d", kProtocolVersion}, "c").error().code,
            Errc::wrong_cluster);
  EXPECT_TRUE(check_greeting(StreamGreeting{"c", kProtocolVersion}, "c"));
  EXPECT_TRUE(check_greeting(StreamGreeting{"", kProtocolVersion}, "c"));
}

}  // namespace
}  // namespace dfs
