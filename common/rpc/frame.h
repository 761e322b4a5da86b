// Messages as gRPC carries them: plain protobuf, and the frames of Put and Get
//
//   u32 little-endian   length of the header
//   header              a protobuf message
//   payload             the rest: chunk bytes
//
// so that chunk bytes are never copied into a protobuf field.
//
// Everything decoded may be hostile: a bad message is `bad_message`, never a crash.
// Threads: any; no state.
#pragma once

#include <google/protobuf/message_lite.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/result.h"

namespace dfs {

// A longer header is refused.
inline constexpr std::size_t kHeaderBytesMax = 256 << 10;

// --- plain protobuf ------------------------------------------------------------

grpc::ByteBuffer serialize_message(const google::protobuf::MessageLite& message);
// Leaves `message` in any state on error.
Result<void> parse_message(const grpc::ByteBuffer& bytes, google::protobuf::MessageLite& message);

// --- frames ----------------------------------------------------------------------

// Copies the payload; for small ones, and for memory that goes away.
grpc::ByteBuffer encode_frame(const google::protobuf::MessageLite& header,
                              std::span<const BufferView> payload = {});

// Copies nothing of a large payload: gRPC sends it from where it is. `owner`
// is held until gRPC has let go of the memory, which may be after the call
// that sent it is over; its last reference may be dropped by a thread of gRPC.
// (Payloads up to kCopyBelow are copied: cheaper, and `owner` is not held.)
grpc::ByteBuffer encode_frame(const google::protobuf::MessageLite& header,
                              std::span<const BufferView> payload,
                              const std::shared_ptr<const void>& owner);
inline constexpr std::size_t kCopyBelow = 32 << 10;

// The same without copying small payloads either: `owner` is always held, for
// who has to see when the sending is over.
grpc::ByteBuffer encode_frame_in_place(const google::protobuf::MessageLite& header,
                                       std::span<const BufferView> payload,
                                       const std::shared_ptr<const void>& owner);

// The payload of a decoded frame; owns the memory.
class FramePayload {
 public:
  std::size_t size() const { return size_; }
  // Copies all of it to `into` (`size()` bytes).
  void copy_to(std::byte* into) const;
  // Its contiguous parts in order; they live as long as this object.
  std::vector<BufferView> parts() const;

 private:
  friend Result<FramePayload> decode_frame(const grpc::ByteBuffer& message,
                                           google::protobuf::MessageLite& header);
  std::vector<grpc::Slice> slices_;
  std::size_t skip_ = 0;  // bytes of the first slice that belong to the header
  std::size_t size_ = 0;
};

Result<FramePayload> decode_frame(const grpc::ByteBuffer& message,
                                  google::protobuf::MessageLite& header);

}  // namespace dfs
