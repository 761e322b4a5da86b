#include "common/rpc/cluster_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/base/address.h"
#include "common/base/bytes.h"
#include "common/base/checksum.h"
#include "common/base/guarded.h"
#include "common/rpc/channels.h"
#include "common/rpc/convert.h"
#include "common/rpc/convert_checks.h"
#include "common/rpc/protocol.h"
#include "common/rpc/waiting_call.h"
#include "dfs/v1/cluster.grpc.pb.h"

namespace dfs {
namespace {

constexpr std::uint64_t kHeartbeatIntervalMaxMs = 3'600'000;
constexpr std::uint64_t kRepairPauseMaxMs = 3'600'000;

v1::RegisterRequest request_for(const RegisterArgs& args) {
  v1::RegisterRequest request;
  request.set_protocol_version(kProtocolVersion);
  request.set_cluster(args.cluster);
  request.set_server(args.server.value());
  request.set_identity(args.identity);
  request.set_address(args.address);
  request.set_local_socket(args.local_socket);
  request.set_machine(args.machine);
  for (const auto& [key, value] : args.labels) (*request.mutable_labels())[key] = value;
  request.set_capacity(args.capacity);
  request.set_available(args.available);
  request.set_version(args.version);
  return request;
}

v1::HeartbeatRequest request_for(const HeartbeatArgs& args) {
  v1::HeartbeatRequest request;
  request.set_server(args.server.value());
  request.set_identity(args.identity);
  request.set_capacity(args.capacity);
  request.set_available(args.available);
  request.set_chunks(args.chunks);
  request.set_used(args.used);
  for (const ChunkId chunk : args.deleted) request.add_deleted(chunk.value());
  request.set_group_table_version(args.group_table_version);
  for (const std::string& problem : args.problems) request.add_problems(problem);
  request.set_sessions_mark(args.sessions_mark);
  return request;
}

v1::RepairRequest request_for(const RepairArgs& args) {
  v1::RepairRequest request;
  request.set_server(args.server.value());
  request.set_identity(args.identity);
  for (const ChunkId chunk : args.copied) request.add_copied(chunk.value());
  for (const CopyFailure& failure : args.failed) {
    v1::CopyFailure& message = *request.add_failed();
    message.set_chunk(failure.chunk.value());
    message.set_nowhere(failure.nowhere);
    message.set_why(failure.why);
  }
  for (const ChunkId chunk : args.damaged) request.add_damaged(chunk.value());
  request.set_copied_bytes(args.copied_bytes);
  if (args.groups) {
    request.set_groups_told(true);
    for (const GroupId group : *args.groups) request.add_groups(group.value());
  }
  if (!args.listed) return request;
  v1::ListedChunks& listed = *request.mutable_listed();
  listed.set_first(args.listed->first.value());
  listed.set_end(args.listed->end.value());
  listed.set_checksum(args.listed->checksum);
  listed.set_named(args.listed->chunks.has_value());
  if (args.listed->chunks)
    for (const ChunkId chunk : *args.listed->chunks) listed.add_chunks(chunk.value());
  return request;
}

Result<LiveSessionsPtr> sessions_from(const v1::LiveSessions& message) {
  TRY(convert::check_count("sessions", message.live_size(), kSessionsMax));
  auto sessions = std::make_shared<LiveSessions>();
  sessions->next = SessionId{message.next()};
  sessions->mark = message.mark();
  SessionId last;
  sessions->live.reserve(static_cast<std::size_t>(message.live_size()));
  for (const std::uint64_t value : message.live()) {
    const SessionId session{value};
    if (session <= last || session >= sessions->next)
      return convert::bad("the metadata server lists its sessions out of order");
    sessions->live.push_back(last = session);
  }
  return sessions;
}

Result<RegisterResult> result_from(const v1::RegisterResponse& response) {
  if (response.has_error()) return fail(from_proto(response.error()));
  if (response.protocol_version() != 0 && response.protocol_version() != kProtocolVersion)
    return fail(Errc::wrong_version,
                fmt::format("it speaks version {} of the protocol, this program version {}",
                            response.protocol_version(), kProtocolVersion));
  RegisterResult result;
  result.cluster = response.cluster();
  if (result.cluster.empty()) return convert::bad("the metadata server names no cluster");
  result.server = TRY(convert::server(response.server()));
  if (response.heartbeat_interval_ms() == 0 ||
      response.heartbeat_interval_ms() > kHeartbeatIntervalMaxMs)
    return convert::bad("the metadata server asks for an impossible heartbeat interval");
  result.heartbeat_interval =
      std::chrono::milliseconds{static_cast<std::int64_t>(response.heartbeat_interval_ms())};
  result.group_table = TRY(from_proto(response.group_table()));
  if (response.has_sessions()) result.sessions = TRY(sessions_from(response.sessions()));
  return result;
}

Result<HeartbeatResult> result_from(const v1::HeartbeatResponse& response) {
  if (response.has_error()) return fail(from_proto(response.error()));
  HeartbeatResult result;
  result.to_delete.reserve(static_cast<std::size_t>(response.to_delete_size()));
  for (const std::uint64_t value : response.to_delete()) {
    const ChunkId chunk = TRY(convert::chunk(value));
    result.to_delete.push_back(chunk);
  }
  result.more = response.more();
  if (response.has_group_table()) result.group_table = TRY(from_proto(response.group_table()));
  result.register_again = response.register_again();
  if (response.has_sessions()) result.sessions = TRY(sessions_from(response.sessions()));
  return result;
}

Result<RepairResult> result_from(const v1::RepairResponse& response) {
  if (response.has_error()) return fail(from_proto(response.error()));
  TRY(convert::check_count("chunks to copy", response.to_copy_size(), kCopiesPerAnswerMax));
  TRY(convert::check_count("chunks to drop", response.to_drop_size(), kListedChunksMax));
  RepairResult result;
  for (const v1::CopyTask& message : response.to_copy()) {
    CopyTask task;
    task.chunk = TRY(convert::chunk(message.chunk()));
    for (const std::uint32_t source : message.sources()) task.sources.emplace_back(source);
    task.length = message.length();
    if (message.from() != 0) task.from = TRY(convert::chunk(message.from()));
    result.to_copy.push_back(std::move(task));
  }
  for (const std::uint64_t value : response.to_drop()) {
    const ChunkId chunk = TRY(convert::chunk(value));
    result.to_drop.push_back(chunk);
  }
  TRY(convert::check_count("chunks to delete", response.to_delete_size(), kListedChunksMax));
  for (const std::uint64_t value : response.to_delete()) {
    const ChunkId chunk = TRY(convert::chunk(value));
    result.to_delete.push_back(chunk);
  }
  if (response.has_list()) {
    const v1::ListTask& list = response.list();
    if (list.chunks_max() == 0 || list.chunks_max() > kListedChunksMax)
      return convert::bad("the metadata server asks for an impossible part of a list");
    result.list = ListTask{ChunkId{list.first()}, list.chunks_max(), list.named()};
  }
  result.list_groups = response.list_groups();
  result.pause = std::chrono::milliseconds{
      static_cast<std::int64_t>(std::min(response.pause_ms(), kRepairPauseMaxMs))};
  result.register_again = response.register_again();
  return result;
}

using Stub = v1::ClusterService::Stub;

class GrpcClusterClient final : public ClusterClient {
 public:
  GrpcClusterClient(std::string address, std::chrono::milliseconds timeout)
      : address_(std::move(address)), timeout_(timeout) {}

  Result<RegisterResult> register_server(const RegisterArgs& args) override {
    const auto response = TRY(
        (ask<v1::RegisterResponse>(request_for(args), &Stub::PrepareAsyncRegister)));
    return named(result_from(response));
  }
  Result<HeartbeatResult> heartbeat(const HeartbeatArgs& args) override {
    const auto response = TRY(
        (ask<v1::HeartbeatResponse>(request_for(args), &Stub::PrepareAsyncHeartbeat)));
    return named(result_from(response));
  }
  Result<RepairResult> repair(const RepairArgs& args) override {
    const auto response = TRY(
        (ask<v1::RepairResponse>(request_for(args), &Stub::PrepareAsyncRepair)));
    return named(result_from(response));
  }

 private:
  // An error with the name of who answered it.
  template <typename R>
  Result<R> named(Result<R> result) const {
    if (result) return result;
    return fail(result.error().code,
                fmt::format("the metadata server at {}: {}", address_, result.error().text));
  }

  template <typename Response>
  using Reader = std::unique_ptr<grpc::ClientAsyncResponseReader<Response>>;

  template <typename Response, typename Request>
  Result<Response> ask(const Request& request,
                       Reader<Response> (Stub::*method)(grpc::ClientContext*, const Request&,
                                                        grpc::CompletionQueue*)) {
    TRY(parse_address(address_));
    const std::shared_ptr<Stub> stub = connection();
    Result<Response> answer = call_and_wait<Response>(*stub, method, request, timeout_);
    if (answer) return answer;
    Error error = std::move(answer).error();
    if (error.code == Errc::unavailable || error.code == Errc::timed_out) {
      // The next call looks anew for where the server can be reached.
      stub_.with([&](auto& current) {
        if (current == stub) current.reset();
      });
      error.text = fmt::format("no metadata server answers at {}: {}", address_, error.text);
      return fail(std::move(error));
    }
    return named(Result<Response>(fail(std::move(error))));
  }

  std::shared_ptr<Stub> connection() {
    return stub_.with([&](auto& current) {
      if (current == nullptr)
        current = v1::ClusterService::NewStub(make_channel(dial_target(address_)));
      return current;
    });
  }

  const std::string address_;
  const std::chrono::milliseconds timeout_;
  Guarded<std::shared_ptr<Stub>> stub_;
};

}  // namespace

std::uint64_t checksum_of_list(const std::vector<ChunkId>& chunks) {
  std::string bytes(chunks.size() * sizeof(std::uint64_t), '\0');
  for (std::size_t i = 0; i < chunks.size(); ++i)
    store_le(bytes.data() + i * sizeof(std::uint64_t), chunks[i].value());
  return checksum_of(std::as_bytes(std::span(bytes)));
}

std::unique_ptr<ClusterClient> make_cluster_client(std::string meta_address,
                                                   std::chrono::milliseconds timeout) {
  return std::make_unique<GrpcClusterClient>(std::move(meta_address), timeout);
}

}  // namespace dfs
