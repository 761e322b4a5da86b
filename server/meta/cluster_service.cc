#include "server/meta/cluster_service.h"

#include <utility>

#include <fmt/format.h>

#include "common/rpc/convert.h"
#include "common/rpc/frame.h"
#include "common/rpc/protocol.h"
#include "dfs/v1/cluster.pb.h"
#include "server/meta/cluster/cluster_jobs.h"

namespace dfs {
namespace {

// More acknowledged deletions or problems in one heartbeat break the protocol.
constexpr int kDeletedMax = 65'536;
constexpr int kProblemsMax = 64;

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
           method<v1::HeartbeatRequest, HeartbeatResult>(core, make_heartbeat_job)}};
}

}  // namespace dfs
