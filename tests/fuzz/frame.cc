// Frames as they come off the wire: gRPC hands them over in slices of any length.
//
// Input: a line of slice lengths, then the frame.
#include "common/rpc/frame.h"

#include <vector>

#include "dfs/v1/storage.pb.h"
#include "tests/fuzz/input.h"

namespace dfs::fuzz {
namespace {

constexpr std::size_t kSlicesMax = 64;

grpc::ByteBuffer cut(std::string_view frame, Words lengths) {
  std::vector<grpc::Slice> slices;
  while (!frame.empty() && slices.size() < kSlicesMax) {
    std::size_t length = lengths.number(frame.size());
    if (length == 0 || slices.size() + 1 == kSlicesMax) length = frame.size();
    slices.emplace_back(std::string(frame.substr(0, length)));
    frame.remove_prefix(length);
  }
  return {slices.data(), slices.size()};
}

std::string bytes_of(const FramePayload& payload) {
  std::string bytes(payload.size(), '\0');
  payload.copy_to(reinterpret_cast<std::byte*>(bytes.data()));
  return bytes;
}

void run(std::string_view input) {
  const std::string_view lengths = take_line(input);
  v1::PutHeader header;
  const auto payload = decode_frame(cut(input, Words(lengths)), header);
  if (!payload) {
    invariant(payload.error().code == Errc::bad_message, "a bad frame is a bad message");
    return;
  }

  std::size_t in_parts = 0;
  for (const BufferView& part : payload->parts()) in_parts += part.size();
  invariant(in_parts == payload->size(), "the parts are the payload");
  const std::string bytes = bytes_of(*payload);
  invariant(input.ends_with(bytes), "the payload is the end of the frame");

  const BufferView piece = as_bytes(bytes);
  v1::PutHeader again;
  const auto second = decode_frame(encode_frame(header, {&piece, 1}), again);
  invariant(second.has_value(), "what was encoded decodes");
  invariant(bytes_of(*second) == bytes, "a payload survives");
  invariant(again.SerializeAsString() == header.SerializeAsString(), "a header survives");
}

}  // namespace
}  // namespace dfs::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  dfs::fuzz::run(dfs::fuzz::text_of(data, size));
  return 0;
}
