// What the frames of Put and Get say, as checked C++ values: the twins of the
// messages of proto/dfs/v1/storage.proto, for both ends of a stream.
//
// decode_*() believes nothing: lengths are bounded by protocol.h, a part lies
// inside its chunk, starts at a block border and has one checksum per block.
// A broken rule is `bad_message` with a sentence. Checksums are NOT compared
// with the bytes here: whoever has them contiguous does that.
//
// Threads: any; no state.
#pragma once

#include <grpcpp/support/byte_buffer.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/checksum.h"
#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/rpc/file_place.h"
#include "common/rpc/frame.h"
#include "common/rpc/storage_client.h"

namespace dfs {

// Said in the first frame a client sends on a stream of Put or Get.
struct StreamGreeting {
  std::string cluster;
  std::uint32_t protocol_version = 0;
};

// A member of the chunk's group that the server called passes the chunk on to.
struct ForwardTarget {
  ServerId server;
  std::string address;
  std::string local_socket;
  std::string machine;
};

// Client -> server on Put: part [offset, offset + payload) of a chunk. The
// fields after `checksums` are meaningful in the part at offset 0 and in a query.
struct PutPart {
  std::optional<StreamGreeting> greeting;
  ChunkId chunk;
  std::uint32_t length = 0;  // of the whole chunk
  std::uint32_t offset = 0;
  bool query = false;        // no payload: "how much of it do you have?"
  std::vector<Checksum> checksums;
  Epoch epoch;
  std::vector<ForwardTarget> forward;
  bool sync = false;
  std::string capability;
  InodeId inode;
  std::uint64_t file_offset = 0;
  WallNanos written = 0;
  bool scattered = false;
  SessionId session;
};

// Server -> client on Put.
struct PutAnswer {
  ChunkId chunk;
  std::uint32_t have = 0;             // bytes from the chunk's start
  bool done = false;                  // then `outcome` is meaningful
  PutOutcome outcome;
  std::optional<Error> error;         // the chunk failed; nothing more is said of it
};

struct GetRange {
  ChunkId chunk;
  std::uint32_t offset = 0;
  std::uint32_t length = 0;
};
// Client -> server on Get.
struct GetQuestion {
  std::optional<StreamGreeting> greeting;
  std::uint64_t id = 0;
  std::vector<GetRange> ranges;
  std::string capability;
  bool local = false;                 // ranges may be answered by a FilePlace
};

// Server -> client on Get: bytes [offset, offset + payload) of a range's chunk.
struct GetPart {
  std::uint64_t id = 0;
  std::uint32_t range = 0;            // index in the question
  std::uint32_t offset = 0;
  std::vector<Checksum> checksums;    // whole_blocks: one per block; else one over the payload
  bool whole_blocks = false;
  bool last = false;                  // nothing follows for this id
  std::optional<Error> error;         // this range failed; the next ones go on
  std::optional<FilePlace> place;     // where the bytes are, instead of a payload; whole_blocks
};

// Without `owner` the payload is copied; with it, it is sent from where it is
// and `owner` held meanwhile (frame.h).
grpc::ByteBuffer encode(const PutPart& part, std::span<const BufferView> payload = {},
                        const std::shared_ptr<const void>& owner = nullptr);
grpc::ByteBuffer encode(const PutAnswer& answer);
grpc::ByteBuffer encode(const GetQuestion& question);
grpc::ByteBuffer encode(const GetPart& part, std::span<const BufferView> payload = {},
                        const std::shared_ptr<const void>& owner = nullptr);
// Never copies: `owner` is held until the payload, however small, is sent.
grpc::ByteBuffer encode_in_place(const GetPart& part, BufferView payload,
                                 const std::shared_ptr<const void>& owner);

struct DecodedPut {
  PutPart part;
  FramePayload payload;
};
struct DecodedGet {
  GetPart part;
  FramePayload payload;
};
Result<DecodedPut> decode_put_part(const grpc::ByteBuffer& message);
Result<PutAnswer> decode_put_answer(const grpc::ByteBuffer& message);
Result<GetQuestion> decode_get_question(const grpc::ByteBuffer& message);
Result<DecodedGet> decode_get_part(const grpc::ByteBuffer& message);

// What a server says to the greeting of a stream's first frame: `bad_message`
// when it is missing, `wrong_version`, `wrong_cluster`.
Result<void> check_greeting(const std::optional<StreamGreeting>& greeting,
                            const std::string& cluster);

}  // namespace dfs
