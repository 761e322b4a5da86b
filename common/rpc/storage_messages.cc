#include "common/rpc/storage_messages.h"

#include <utility>

#include "common/rpc/convert.h"
#include "common/rpc/convert_checks.h"
#include "common/rpc/protocol.h"
#include "dfs/v1/storage.pb.h"

namespace dfs {

using convert::bad;
using convert::check_count;

namespace {

constexpr int kForwardsMax = 64;
constexpr std::size_t kTextMax = 4096;  // of an address, a capability, a path

template <typename Message>
void put_greeting(const std::optional<StreamGreeting>& greeting, Message& message) {
  if (!greeting) return;
  message.set_cluster(greeting->cluster);
  message.set_protocol_version(greeting->protocol_version);
}

template <typename Message>
std::optional<StreamGreeting> greeting_from(const Message& message) {
  if (message.protocol_version() == 0) return std::nullopt;
  return StreamGreeting{message.cluster(), message.protocol_version()};
}

Result<ForwardTarget> forward_from(const v1::ForwardTarget& message) {
  ForwardTarget target;
  target.server = TRY(convert::server(message.server()));
  TRY(convert::check_length("an address", message.address().size(), kTextMax));
  TRY(convert::check_length("a socket's path", message.local_socket().size(), kTextMax));
  TRY(convert::check_length("a machine's id", message.machine().size(), kTextMax));
  target.address = message.address();
  target.local_socket = message.local_socket();
  target.machine = message.machine();
  return target;
}

// The rules of a part's place in its chunk and of its payload.
Result<void> check_part(const v1::PutHeader& header, std::size_t payload) {
  TRY(convert::check_in_chunk(0, header.length()));
  if (header.query()) {
    if (payload != 0 || header.checksums_size() != 0) return bad("a query carries bytes");
    return {};
  }
  if (payload == 0) return bad("a part of a chunk is empty");
  if (payload > kFrameBytesMax) return bad("a part of a chunk is longer than a frame may be");
  if (header.offset() % kBlockSize != 0) return bad("a part of a chunk starts inside a block");
  if (header.offset() > header.length() || payload > header.length() - header.offset())
    return bad("a part lies outside its chunk");
  if (payload % kBlockSize != 0 && header.offset() + payload != header.length())
    return bad("a part of a chunk ends inside a block");
  if (static_cast<std::size_t>(header.checksums_size()) != block_count(payload))
    return bad("a part of a chunk has not one checksum for each block");
  return {};
}

template <typename Repeated>
std::vector<Checksum> checksums_from(const Repeated& from) {
  return {from.begin(), from.end()};
}

v1::GetHeader header_of(const GetPart& part) {
  v1::GetHeader header;
  header.set_id(part.id);
  header.set_range(part.range);
  header.set_offset(part.offset);
  header.mutable_checksums()->Add(part.checksums.begin(), part.checksums.end());
  header.set_whole_blocks(part.whole_blocks);
  header.set_last(part.last);
  if (part.error) to_proto(*part.error, *header.mutable_error());
  if (part.place) {
    v1::FilePlace& place = *header.mutable_place();
    place.set_path(part.place->path);
    place.set_offset(part.place->offset);
    place.set_length(part.place->length);
  }
  return header;
}

Result<FilePlace> place_from(const v1::FilePlace& message) {
  TRY(convert::check_length("a file's path", message.path().size(), kTextMax));
  if (!message.path().starts_with('/')) return bad("a file's path is not absolute");
  if (message.length() == 0 || message.length() > kFrameBytesMax)
    return bad("a place in a file is empty or longer than a frame may be");
  TRY(convert::range(message.offset(), message.length()));
  return FilePlace{message.path(), message.offset(), message.length()};
}

Result<PutOutcome> outcome_from(const v1::PutReply& message) {
  TRY(check_count("servers that stored a chunk", message.stored_on_size(), kForwardsMax));
  TRY(check_count("servers that synced a chunk", message.synced_on_size(), kForwardsMax));
  TRY(check_count("servers that failed", message.failed_size(), kForwardsMax));
  PutOutcome outcome;
  for (const std::uint32_t value : message.stored_on()) {
    auto converted = TRY(convert::server(value));
    outcome.stored_on.push_back(std::move(converted));
  }
  for (const std::uint32_t value : message.synced_on()) {
    auto converted = TRY(convert::server(value));
    outcome.synced_on.push_back(std::move(converted));
  }
  for (const v1::ForwardFailure& failure : message.failed()) {
    const ServerId server = TRY(convert::server(failure.server()));
    outcome.failed.emplace_back(server, from_proto(failure.error()));
  }
  return outcome;
}

}  // namespace

// --- Put -----------------------------------------------------------------------------

grpc::ByteBuffer encode(const PutPart& part, std::span<const BufferView> payload,
                        const std::shared_ptr<const void>& owner) {
  v1::PutHeader header;
  put_greeting(part.greeting, header);
  header.set_chunk(part.chunk.value());
  header.set_length(part.length);
  header.set_offset(part.offset);
  header.set_query(part.query);
  header.mutable_checksums()->Add(part.checksums.begin(), part.checksums.end());
  header.set_epoch(part.epoch.value());
  for (const ForwardTarget& target : part.forward) {
    v1::ForwardTarget& added = *header.add_forward();
    added.set_server(target.server.value());
    added.set_address(target.address);
    added.set_local_socket(target.local_socket);
    added.set_machine(target.machine);
  }
  header.set_sync(part.sync);
  header.set_capability(part.capability);
  header.set_inode(part.inode.value());
  header.set_file_offset(part.file_offset);
  header.set_written(part.written);
  header.set_scattered(part.scattered);
  header.set_session(part.session.value());
  return owner == nullptr ? encode_frame(header, payload) : encode_frame(header, payload, owner);
}

Result<DecodedPut> decode_put_part(const grpc::ByteBuffer& message) {
  v1::PutHeader header;
  DecodedPut decoded;
  decoded.payload = TRY(decode_frame(message, header));
  TRY(check_part(header, decoded.payload.size()));
  PutPart& part = decoded.part;
  part.greeting = greeting_from(header);
  part.chunk = TRY(convert::chunk(header.chunk()));
  part.length = header.length();
  part.offset = header.offset();
  part.query = header.query();
  part.checksums = checksums_from(header.checksums());
  part.epoch = Epoch{header.epoch()};
  TRY(check_count("forward targets", header.forward_size(), kForwardsMax));
  part.forward.reserve(static_cast<std::size_t>(header.forward_size()));
  for (const v1::ForwardTarget& target : header.forward()) {
    auto converted = TRY(forward_from(target));
    part.forward.push_back(std::move(converted));
  }
  part.sync = header.sync();
  TRY(convert::check_length("a capability", header.capability().size(), kTextMax));
  part.capability = header.capability();
  part.inode = InodeId{header.inode()};
  part.file_offset = TRY(convert::file_size(header.file_offset()));
  if (header.written() < 0) return convert::bad("a chunk that was written before 1970");
  part.written = header.written();
  part.scattered = header.scattered();
  part.session = SessionId{header.session()};
  return decoded;
}

grpc::ByteBuffer encode(const PutAnswer& answer) {
  v1::PutReply reply;
  reply.set_chunk(answer.chunk.value());
  reply.set_have(answer.have);
  reply.set_done(answer.done);
  for (const ServerId server : answer.outcome.stored_on) reply.add_stored_on(server.value());
  for (const ServerId server : answer.outcome.synced_on) reply.add_synced_on(server.value());
  for (const auto& [server, error] : answer.outcome.failed) {
    v1::ForwardFailure& failure = *reply.add_failed();
    failure.set_server(server.value());
    to_proto(error, *failure.mutable_error());
  }
  if (answer.error) to_proto(*answer.error, *reply.mutable_error());
  return encode_frame(reply);
}

Result<PutAnswer> decode_put_answer(const grpc::ByteBuffer& message) {
  v1::PutReply reply;
  const FramePayload payload = TRY(decode_frame(message, reply));
  if (payload.size() != 0) return bad("an answer of Put carries bytes");
  PutAnswer answer;
  answer.chunk = TRY(convert::chunk(reply.chunk()));
  answer.have = reply.have();
  answer.done = reply.done();
  answer.outcome = TRY(outcome_from(reply));
  if (reply.has_error()) answer.error = from_proto(reply.error());
  return answer;
}

// --- Get -----------------------------------------------------------------------------

grpc::ByteBuffer encode(const GetQuestion& question) {
  v1::GetRequest request;
  put_greeting(question.greeting, request);
  request.set_id(question.id);
  for (const GetRange& range : question.ranges) {
    v1::GetRange& added = *request.add_ranges();
    added.set_chunk(range.chunk.value());
    added.set_offset(range.offset);
    added.set_length(range.length);
  }
  request.set_capability(question.capability);
  request.set_local(question.local);
  return encode_frame(request);
}

Result<GetQuestion> decode_get_question(const grpc::ByteBuffer& message) {
  v1::GetRequest request;
  const FramePayload payload = TRY(decode_frame(message, request));
  if (payload.size() != 0) return bad("a request of Get carries bytes");
  GetQuestion question;
  question.greeting = greeting_from(request);
  question.id = request.id();
  if (request.ranges_size() == 0) return bad("a request of Get asks for nothing");
  TRY(check_count("ranges in a request", request.ranges_size(),
                  static_cast<std::int64_t>(kRangesPerGetMax)));
  question.ranges.reserve(static_cast<std::size_t>(request.ranges_size()));
  for (const v1::GetRange& range : request.ranges()) {
    const ChunkId chunk = TRY(convert::chunk(range.chunk()));
    TRY(convert::check_in_chunk(range.offset(), range.length()));
    question.ranges.push_back({chunk, range.offset(), range.length()});
  }
  TRY(convert::check_length("a capability", request.capability().size(), kTextMax));
  question.capability = request.capability();
  question.local = request.local();
  return question;
}

grpc::ByteBuffer encode(const GetPart& part, std::span<const BufferView> payload,
                        const std::shared_ptr<const void>& owner) {
  const v1::GetHeader header = header_of(part);
  return owner == nullptr ? encode_frame(header, payload) : encode_frame(header, payload, owner);
}

grpc::ByteBuffer encode_in_place(const GetPart& part, BufferView payload,
                                 const std::shared_ptr<const void>& owner) {
  return encode_frame_in_place(header_of(part), {&payload, 1}, owner);
}

Result<DecodedGet> decode_get_part(const grpc::ByteBuffer& message) {
  v1::GetHeader header;
  DecodedGet decoded;
  decoded.payload = TRY(decode_frame(message, header));
  const std::size_t size = decoded.payload.size();
  if (size > kFrameBytesMax) return bad("a part of an answer is longer than a frame may be");
  GetPart& part = decoded.part;
  part.id = header.id();
  part.range = header.range();
  part.offset = header.offset();
  part.checksums = checksums_from(header.checksums());
  part.whole_blocks = header.whole_blocks();
  part.last = header.last();
  if (header.has_error()) part.error = from_proto(header.error());
  if (header.has_place()) {
    if (size != 0 || !part.whole_blocks) return bad("a part of an answer is both here and elsewhere");
    part.place = TRY(place_from(header.place()));
  }
  const std::size_t bytes = part.place ? part.place->length : size;
  const std::size_t expected = bytes == 0 ? 0 : part.whole_blocks ? block_count(bytes) : 1;
  if (part.checksums.size() != expected)
    return bad("a part of an answer has not the checksums that belong to its bytes");
  return decoded;
}

Result<void> check_greeting(const std::optional<StreamGreeting>& greeting,
                            const std::string& cluster) {
  if (!greeting) return bad("the first frame of a stream does not say who sends it");
  if (greeting->protocol_version != kProtocolVersion)
    return fail(Errc::wrong_version,
                fmt::format("the caller speaks protocol version {}, this server version {}",
                            greeting->protocol_version, kProtocolVersion));
  if (!greeting->cluster.empty() && greeting->cluster != cluster)
    return fail(Errc::wrong_cluster,
                fmt::format("the caller belongs to cluster {}, this server to cluster {}",
                            greeting->cluster, cluster));
  return {};
}

}  // namespace dfs
