// What the frames of Put and Get say.
//
// Input: a line "put_part BYTES", "put_answer", "get_question" or "get_part
// BYTES" with how long a payload comes with it, then the header.
#include "common/rpc/storage_messages.h"

#include "common/rpc/protocol.h"
#include "dfs/v1/storage.pb.h"
#include "tests/fuzz/input.h"

namespace dfs::fuzz {
namespace {

// Bytes that any part may have; what is in them is nobody's business here.
BufferView payload_of(std::size_t bytes) {
  static const std::vector<std::byte> zeros(kFrameBytesMax + 1);
  return BufferView(zeros).first(bytes);
}

template <typename Header>
std::optional<grpc::ByteBuffer> frame_of(std::string_view input, std::size_t payload = 0) {
  Header header;
  if (!read_message(input, header)) return std::nullopt;
  const BufferView piece = payload_of(payload);
  return encode_frame(header, {&piece, 1});
}

void check_refusal(const Error& error) {
  invariant(error.code == Errc::bad_message, "what breaks a rule is a bad message");
  invariant(!error.text.empty(), "a refusal says why");
}

std::string flat(const grpc::ByteBuffer& frame) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (!frame.Dump(&slices).ok()) return bytes;
  for (const grpc::Slice& slice : slices)
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return bytes;
}

// Decoded, encoded, decoded and encoded again: the two frames are the same.
template <typename Decode, typename Encode>
void check_twice(const grpc::ByteBuffer& frame, Decode decode, Encode encode_again) {
  const auto first = decode(frame);
  if (!first) return check_refusal(first.error());
  const grpc::ByteBuffer encoded = encode_again(*first);
  const auto second = decode(encoded);
  invariant(second.has_value(), "what was encoded decodes");
  invariant(flat(encode_again(*second)) == flat(encoded), "what was decoded survives");
}

void check_put_part(const DecodedPut& decoded) {
  const PutPart& part = decoded.part;
  invariant(part.length > 0 && part.length <= kChunkSizeMax, "a chunk has a length");
  if (part.query) return invariant(decoded.payload.size() == 0, "a query carries nothing");
  invariant(part.offset % kBlockSize == 0, "a part begins with a block");
  invariant(part.offset + decoded.payload.size() <= part.length, "a part lies in its chunk");
  invariant(part.checksums.size() == block_count(decoded.payload.size()),
            "a part has a checksum for each block");
}

void run(std::string_view input) {
  Words words(take_line(input));
  const std::string_view kind = words.word();
  const std::size_t bytes = words.number(kFrameBytesMax + 1);
  if (kind == "put_part") {
    const auto frame = frame_of<v1::PutHeader>(input, bytes);
    if (!frame) return;
    if (const auto decoded = decode_put_part(*frame)) check_put_part(*decoded);
    check_twice(*frame, decode_put_part, [](const DecodedPut& put) {
      return encode(put.part, put.payload.parts());
    });
  } else if (kind == "put_answer") {
    const auto frame = frame_of<v1::PutReply>(input);
    if (!frame) return;
    check_twice(*frame, decode_put_answer, [](const PutAnswer& answer) { return encode(answer); });
  } else if (kind == "get_question") {
    const auto frame = frame_of<v1::GetRequest>(input);
    if (!frame) return;
    check_twice(*frame, decode_get_question,
                [](const GetQuestion& question) { return encode(question); });
  } else if (kind == "get_part") {
    const auto frame = frame_of<v1::GetHeader>(input, bytes);
    if (!frame) return;
    check_twice(*frame, decode_get_part, [](const DecodedGet& get) {
      return encode(get.part, get.payload.parts());
    });
  }
}

}  // namespace
}  // namespace dfs::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  dfs::fuzz::run(dfs::fuzz::text_of(data, size));
  return 0;
}
