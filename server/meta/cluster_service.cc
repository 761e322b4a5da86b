#include "server/meta/cluster_service.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "common/rpc/convert.h"
#include "common/rpc/frame.h"
#include "common/rpc/protocol.h"
#include "dfs/v1/cluster.pb.h"
#include "server/meta/cluster/cluster_jobs.h"
#include "server/meta/repair/repair_jobs.h"

namespace dfs {
namespace {

// More acknowledged deletions or problems in one heartbeat break the protocol.
constexpr int kDeletedMax = 65'536;
constexpr int kProblemsMax = 64;
// Outcomes and groups in one question about repair.
constexpr int kOutcomesMax = 65'536;

Result<RegisterArgs> from_proto(v1::RegisterRequest&& request) {
  if (request.protocol_version() != kProtocolVersion)
    return fail(Errc::wrong_version,
                fmt::format("the storage server at {} speaks version {} of the protocol, the "
                            "metadata server version {}",
                            request.address(), request.protocol_version(), kProtocolVersion));
  RegisterArgs args;
  args.cluster = std::move(*request.mutable_cluster());
  args.server = ServerId{request.server()};
  args.identity = std::move(*request.mutable_identity());
  args.address = std::move(*request.mutable_address());
  args.local_socket = std::move(*request.mutable_local_socket());
  args.machine = std::move(*request.mutable_machine());
  args.labels = {request.labels().begin(), request.labels().end()};
  args.capacity = request.capacity();
  args.available = request.available();
  args.version = std::move(*request.mutable_version());
  return args;
}

Result<HeartbeatArgs> from_proto(v1::HeartbeatRequest&& request) {
  if (request.deleted_size() > kDeletedMax || request.problems_size() > kProblemsMax)
    return fail(Errc::bad_message, "a heartbeat with too many chunks or problems");
  HeartbeatArgs args;
  args.server = ServerId{request.server()};
  args.identity = std::move(*request.mutable_identity());
  args.capacity = request.capacity();
  args.available = request.available();
  args.chunks = request.chunks();
  args.used = request.used();
  args.deleted.reserve(static_cast<std::size_t>(request.deleted_size()));
  for (const std::uint64_t chunk : request.deleted()) args.deleted.emplace_back(chunk);
  args.group_table_version = request.group_table_version();
  args.problems = {request.problems().begin(), request.problems().end()};
  args.sessions_mark = request.sessions_mark();
  return args;
}

Result<ListedChunks> from_proto(const v1::ListedChunks& message) {
  ListedChunks listed;
  listed.first = ChunkId{message.first()};
  listed.end = ChunkId{message.end()};
  listed.checksum = message.checksum();
  if (listed.end <= listed.first || listed.end > end_of_group(listed.first.group()) ||
      message.chunks_size() > static_cast<int>(kListedChunksMax))
    return fail(Errc::bad_message, "a list of chunks that is no part of one group's");
  if (!message.named()) return listed;
  ChunkId next = listed.first;
  listed.chunks.emplace();
  for (const std::uint64_t value : message.chunks()) {
    const ChunkId chunk{value};
    if (chunk < next || chunk >= listed.end || chunk.serial() == 0)
      return fail(Errc::bad_message, "a list of chunks that is out of order");
    listed.chunks->push_back(chunk);
    next = following(chunk);
  }
  return listed;
}

Result<RepairArgs> from_proto(v1::RepairRequest&& request) {
  const int outcomes = std::max({request.copied_size(), request.failed_size(),
                                 request.damaged_size(), request.groups_size()});
  if (outcomes > kOutcomesMax) return fail(Errc::bad_message, "too much in one question about repair");
  RepairArgs args;
  args.server = ServerId{request.server()};
  args.identity = std::move(*request.mutable_identity());
  for (const std::uint64_t chunk : request.copied()) args.copied.emplace_back(chunk);
  for (v1::CopyFailure& failure : *request.mutable_failed())
    args.failed.push_back(
        {ChunkId{failure.chunk()}, failure.nowhere(), std::move(*failure.mutable_why())});
  for (const std::uint64_t chunk : request.damaged()) args.damaged.emplace_back(chunk);
  args.copied_bytes = request.copied_bytes();
  if (request.has_listed()) args.listed = TRY(from_proto(request.listed()));
  if (!request.groups_told()) return args;
  args.groups.emplace();
  for (const std::uint32_t group : request.groups()) args.groups->emplace_back(group);
  return args;
}

void to_proto(const LiveSessions& sessions, v1::LiveSessions& message) {
  message.set_next(sessions.next.value());
  message.mutable_live()->Reserve(static_cast<int>(sessions.live.size()));
  for (const SessionId session : sessions.live) message.add_live(session.value());
  message.set_mark(sessions.mark);
}

grpc::ByteBuffer answer_to(const RegisterResult& result) {
  v1::RegisterResponse response;
  response.set_cluster(result.cluster);
  response.set_server(result.server.value());
  response.set_heartbeat_interval_ms(
      static_cast<std::uint64_t>(result.heartbeat_interval.count()));
  to_proto(result.group_table, *response.mutable_group_table());
  response.set_protocol_version(kProtocolVersion);
  to_proto(*result.sessions, *response.mutable_sessions());
  return serialize_message(response);
}

grpc::ByteBuffer answer_to(const HeartbeatResult& result) {
  v1::HeartbeatResponse response;
  for (const ChunkId chunk : result.to_delete) response.add_to_delete(chunk.value());
  response.set_more(result.more);
  if (result.group_table) to_proto(*result.group_table, *response.mutable_group_table());
  response.set_register_again(result.register_again);
  if (result.sessions) to_proto(*result.sessions, *response.mutable_sessions());
  return serialize_message(response);
}

grpc::ByteBuffer answer_to(const RepairResult& result) {
  v1::RepairResponse response;
  for (const CopyTask& task : result.to_copy) {
    v1::CopyTask& message = *response.add_to_copy();
    message.set_chunk(task.chunk.value());
    message.set_length(task.length);
    message.set_from(task.from.value());
    for (const ServerId source : task.sources) message.add_sources(source.value());
  }
  for (const ChunkId chunk : result.to_drop) response.add_to_drop(chunk.value());
  for (const ChunkId chunk : result.to_delete) response.add_to_delete(chunk.value());
  if (result.list) {
    response.mutable_list()->set_first(result.list->first.value());
    response.mutable_list()->set_chunks_max(result.list->chunks_max);
    response.mutable_list()->set_named(result.list->named);
  }
  response.set_list_groups(result.list_groups);
  response.set_pause_ms(static_cast<std::uint64_t>(result.pause.count()));
  response.set_register_again(result.register_again);
  return serialize_message(response);
}

// Parses, converts and hands to the core as the job that `make_job` makes.
template <typename Request, typename R, typename MakeJob>
UnaryMethod method(Core& core, MakeJob make_job) {
  return [&core, make_job](grpc::ByteBuffer bytes, UnaryReply reply) {
    Request request;
    if (auto parsed = parse_message(bytes, request); !parsed)
      return reply(fail(std::move(parsed).error()));
    auto args = from_proto(std::move(request));
    if (!args) return reply(fail(std::move(args).error()));
    core.run(make_job(std::move(*args), [reply = std::move(reply)](Result<R> result) {
      if (result)
        reply(answer_to(*result));
      else
        reply(fail(std::move(result).error()));
    }));
  };
}

}  // namespace

std::map<std::string, UnaryMethod> cluster_service(Core& core) {
  return {{"/dfs.v1.ClusterService/Register",
           method<v1::RegisterRequest, RegisterResult>(core, make_register_job)},
          {"/dfs.v1.ClusterService/Heartbeat",
           method<v1::HeartbeatRequest, HeartbeatResult>(core, make_heartbeat_job)},
          {"/dfs.v1.ClusterService/Repair",
           method<v1::RepairRequest, RepairResult>(core, make_repair_job)}};
}

}  // namespace dfs
