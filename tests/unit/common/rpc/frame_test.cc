#include "common/rpc/frame.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "dfs/v1/error.pb.h"

namespace dfs {
namespace {

v1::Error some_header(std::size_t text_bytes) {
  v1::Error header;
  header.set_code(7);
  header.set_text(std::string(text_bytes, 'h'));
  return header;
}

std::string payload_of(const FramePayload& payload) {
  std::string text(payload.size(), '\0');
  payload.copy_to(reinterpret_cast<std::byte*>(text.data()));
  return text;
}

// The same bytes, cut into slices of `piece` bytes as a network may do.
grpc::ByteBuffer cut(const grpc::ByteBuffer& whole, std::size_t piece) {
  std::vector<grpc::Slice> slices;
  EXPECT_TRUE(whole.Dump(&slices).ok());
  std::string bytes;
  for (const grpc::Slice& slice : slices)
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  std::vector<grpc::Slice> cuts;
  for (std::size_t at = 0; at < bytes.size(); at += piece)
    cuts.emplace_back(bytes.substr(at, piece));
  return {cuts.data(), cuts.size()};
}

grpc::ByteBuffer raw(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return {&slice, 1};
}

TEST(Frame, CarriesHeaderAndPayloadHoweverItIsCut) {
  const std::string first = "first ";
  const std::string second(5000, 's');
  const BufferView pieces[] = {as_bytes(first), {}, as_bytes(second)};
  const grpc::ByteBuffer frame = encode_frame(some_header(100), pieces);
  for (const std::size_t piece : {1, 3, 4, 5, 105, 106, 107, 4096, 100000}) {
    v1::Error header;
    const auto payload = decode_frame(cut(frame, piece), header);
    ASSERT_TRUE(payload) << piece;
    EXPECT_EQ(header.text(), std::string(100, 'h'));
    EXPECT_EQ(payload_of(*payload), first + second);
    std::size_t total = 0;
    for (const BufferView part : payload->parts()) total += part.size();
    EXPECT_EQ(total, payload->size());
  }
}

TEST(Frame, SendsLargePayloadsFromWhereTheyAreAndHoldsTheirOwner) {
  const std::string bytes(100'000, 'p');
  const BufferView pieces[] = {as_bytes(bytes).first(60'000), as_bytes(bytes).subspan(60'000)};
  std::shared_ptr<const void> owner = std::make_shared<int>(1);
  {
    const grpc::ByteBuffer frame = encode_frame(some_header(1), pieces, owner);
    EXPECT_GT(owner.use_count(), 1);
    std::vector<grpc::Slice> slices;
    ASSERT_TRUE(frame.Dump(&slices).ok());
    ASSERT_EQ(slices.size(), 3u);
    EXPECT_EQ(static_cast<const void*>(slices[1].begin()), bytes.data());
    v1::Error header;
    const auto payload = decode_frame(frame, header);
    ASSERT_TRUE(payload);
    EXPECT_EQ(payload_of(*payload), bytes);
  }
  EXPECT_EQ(owner.use_count(), 1);
}

TEST(Frame, CopiesSmallPayloadsAndDoesNotHoldTheirOwner) {
  const BufferView pieces[] = {as_bytes("small")};
  std::shared_ptr<const void> owner = std::make_shared<int>(1);
  const grpc::ByteBuffer frame = encode_frame(some_header(1), pieces, owner);
  EXPECT_EQ(owner.use_count(), 1);
}

TEST(Frame, InPlaceHoldsTheOwnerOfASmallPayloadToo) {
  const std::string bytes = "small";
  const BufferView pieces[] = {as_bytes(bytes)};
  std::shared_ptr<const void> owner = std::make_shared<int>(1);
  {
    const grpc::ByteBuffer frame = encode_frame_in_place(some_header(1), pieces, owner);
    EXPECT_GT(owner.use_count(), 1);
    v1::Error header;
    const auto payload = decode_frame(frame, header);
    ASSERT_TRUE(payload);
    EXPECT_EQ(payload_of(*payload), bytes);
  }
  EXPECT_EQ(owner.use_count(), 1);
}

TEST(Frame, RefusesFramesThatAreNone) {
  v1::Error header;
  EXPECT_FALSE(decode_frame(grpc::ByteBuffer{}, header));
  EXPECT_FALSE(decode_frame(raw("abc"), header));
  EXPECT_FALSE(decode_frame(raw(std::string("\x05\0\0\0abcd", 8)), header)) << "header beyond the end";
  EXPECT_FALSE(decode_frame(raw(std::string("\xff\xff\xff\xff", 4)), header));
  EXPECT_FALSE(decode_frame(raw(std::string("\x02\0\0\0\xff\xff", 6)), header)) << "no protobuf";
  const auto empty = decode_frame(raw(std::string("\0\0\0\0", 4)), header);
  ASSERT_TRUE(empty);
  EXPECT_EQ(empty->size(), 0u);
}

TEST(Frame, RefusesAHeaderOverTheLimit) {
  v1::Error header;
  EXPECT_TRUE(decode_frame(encode_frame(some_header(kHeaderBytesMax - 100)), header));
  EXPECT_FALSE(decode_frame(encode_frame(some_header(kHeaderBytesMax)), header));
}

TEST(Frame, NeverCrashesOnRandomBytes) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes(random() % 64, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random() % 4 == 0 ? random() : random() % 8);
    v1::Error header;
    const auto payload = decode_frame(cut(raw(bytes), 1 + random() % 7), header);
    if (payload) {
      EXPECT_LE(payload->size(), bytes.size());
    }
  }
}

TEST(Message, CarriesProtobufHoweverItIsCut) {
  const grpc::ByteBuffer bytes = serialize_message(some_header(10'000));
  for (const std::size_t piece : {1, 7, 5000, 1 << 20}) {
    v1::Error back;
    ASSERT_TRUE(parse_message(cut(bytes, piece), back));
    EXPECT_EQ(back.text().size(), 10'000u);
  }
  v1::Error back;
  EXPECT_FALSE(parse_message(raw("\xff\xff\xff"), back));
}

}  // namespace
}  // namespace dfs
