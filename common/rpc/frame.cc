#include "common/rpc/frame.h"

#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <grpc/slice.h>
#include <grpcpp/support/proto_buffer_reader.h>

#include <cstring>
#include <limits>
#include <string>

namespace dfs {
namespace {

constexpr std::size_t kPrefix = sizeof(std::uint32_t);

// A slice with room for `size` bytes; `fill` writes them.
template <typename Fill>
grpc::Slice make_slice(std::size_t size, Fill fill) {
  const grpc_slice raw = grpc_slice_malloc(size);
  grpc_slice writable = raw;
  fill(reinterpret_cast<std::byte*>(GRPC_SLICE_START_PTR(writable)));
  // A small slice holds its bytes in the handle itself, so the handle that
  // was written to is the one to keep.
  return {writable, grpc::Slice::STEAL_REF};
}

std::byte* put_header(std::byte* to, const google::protobuf::MessageLite& header,
                      std::size_t header_size) {
  store_le(to, static_cast<std::uint32_t>(header_size));
  header.SerializeWithCachedSizesToArray(reinterpret_cast<std::uint8_t*>(to + kPrefix));
  return to + kPrefix + header_size;
}

std::size_t total_size(std::span<const BufferView> pieces) {
  std::size_t size = 0;
  for (const BufferView& piece : pieces) size += piece.size();
  return size;
}

void drop_owner(void* owner) { delete static_cast<std::shared_ptr<const void>*>(owner); }

BufferView view_of(const grpc::Slice& slice) {
  return {reinterpret_cast<const std::byte*>(slice.begin()), slice.size()};
}

// The first `size` bytes of `slices`, which have that many; copied to
// `scratch` only if they are not contiguous.
BufferView front_of(const std::vector<grpc::Slice>& slices, std::size_t size,
                    std::string& scratch) {
  if (slices.front().size() >= size) return view_of(slices.front()).first(size);
  scratch.clear();
  scratch.reserve(size);
  for (const grpc::Slice& slice : slices) {
    const std::size_t wanted = std::min(size - scratch.size(), slice.size());
    scratch.append(reinterpret_cast<const char*>(slice.begin()), wanted);
    if (scratch.size() == size) break;
  }
  return as_bytes(scratch);
}

}  // namespace

grpc::ByteBuffer serialize_message(const google::protobuf::MessageLite& message) {
  const std::size_t size = message.ByteSizeLong();
  const grpc::Slice slice = make_slice(size, [&](std::byte* to) {
    message.SerializeWithCachedSizesToArray(reinterpret_cast<std::uint8_t*>(to));
  });
  return {&slice, 1};
}

Result<void> parse_message(const grpc::ByteBuffer& bytes, google::protobuf::MessageLite& message) {
  grpc::Slice single;
  if (bytes.TrySingleSlice(&single).ok()) {
    if (single.size() <= std::numeric_limits<int>::max() &&
        message.ParseFromArray(single.begin(), static_cast<int>(single.size())))
      return {};
  } else {
    grpc::ByteBuffer copy = bytes;  // the reader wants it writable; the bytes are shared
    grpc::ProtoBufferReader reader(&copy);
    if (reader.status().ok() && message.ParseFromZeroCopyStream(&reader)) return {};
  }
  return fail(Errc::bad_message, "a message does not parse as " + message.GetTypeName());
}

grpc::ByteBuffer encode_frame(const google::protobuf::MessageLite& header,
                              std::span<const BufferView> payload) {
  const std::size_t header_size = header.ByteSizeLong();
  const std::size_t payload_size = total_size(payload);
  const grpc::Slice slice =
      make_slice(kPrefix + header_size + payload_size, [&](std::byte* to) {
        to = put_header(to, header, header_size);
        for (const BufferView& piece : payload) {
          if (piece.empty()) continue;
          std::memcpy(to, piece.data(), piece.size());
          to += piece.size();
        }
      });
  return {&slice, 1};
}

grpc::ByteBuffer encode_frame(const google::protobuf::MessageLite& header,
                              std::span<const BufferView> payload,
                              const std::shared_ptr<const void>& owner) {
  if (total_size(payload) <= kCopyBelow) return encode_frame(header, payload);
  return encode_frame_in_place(header, payload, owner);
}

grpc::ByteBuffer encode_frame_in_place(const google::protobuf::MessageLite& header,
                                       std::span<const BufferView> payload,
                                       const std::shared_ptr<const void>& owner) {
  const std::size_t header_size = header.ByteSizeLong();
  std::vector<grpc::Slice> slices;
  slices.reserve(payload.size() + 1);
  slices.push_back(make_slice(kPrefix + header_size,
                              [&](std::byte* to) { put_header(to, header, header_size); }));
  for (const BufferView& piece : payload) {
    if (piece.empty()) continue;
    auto* held = new std::shared_ptr<const void>(owner);
    // gRPC takes a pointer to mutable memory and only reads from it.
    slices.emplace_back(const_cast<std::byte*>(piece.data()), piece.size(), drop_owner, held);
  }
  return {slices.data(), slices.size()};
}

void FramePayload::copy_to(std::byte* into) const {
  for (const BufferView& part : parts()) {
    std::memcpy(into, part.data(), part.size());
    into += part.size();
  }
}

std::vector<BufferView> FramePayload::parts() const {
  std::vector<BufferView> parts;
  parts.reserve(slices_.size());
  std::size_t skip = skip_;
  for (const grpc::Slice& slice : slices_) {
    const BufferView view = view_of(slice).subspan(skip);
    skip = 0;
    if (!view.empty()) parts.push_back(view);
  }
  return parts;
}

Result<FramePayload> decode_frame(const grpc::ByteBuffer& message,
                                  google::protobuf::MessageLite& header) {
  const std::size_t total = message.Valid() ? message.Length() : 0;
  if (total < kPrefix) return fail(Errc::bad_message, "a frame is shorter than its length field");

  FramePayload payload;
  if (!message.Dump(&payload.slices_).ok() || payload.slices_.empty())
    return fail(Errc::bad_message, "a frame cannot be read");
  std::string scratch;
  const std::size_t header_size =
      load_le<std::uint32_t>(front_of(payload.slices_, kPrefix, scratch).data());
  if (header_size > kHeaderBytesMax || header_size > total - kPrefix)
    return fail(Errc::bad_message, "a frame's header is longer than allowed");

  const BufferView bytes =
      front_of(payload.slices_, kPrefix + header_size, scratch).subspan(kPrefix);
  if (!header.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return fail(Errc::bad_message, "a frame's header does not parse as " + header.GetTypeName());

  // Let go of the slices that held nothing but the header.
  std::size_t skip = kPrefix + header_size;
  std::size_t used_up = 0;
  while (used_up < payload.slices_.size() && skip >= payload.slices_[used_up].size())
    skip -= payload.slices_[used_up++].size();
  payload.slices_.erase(payload.slices_.begin(),
                        payload.slices_.begin() + static_cast<std::ptrdiff_t>(used_up));
  payload.skip_ = skip;
  payload.size_ = total - kPrefix - header_size;
  return payload;
}

}  // namespace dfs
