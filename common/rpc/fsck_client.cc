#include "common/rpc/fsck_client.h"

#include <atomic>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "common/base/address.h"
#include "common/rpc/channels.h"
#include "common/rpc/convert.h"
#include "common/rpc/convert_checks.h"
#include "common/rpc/protocol.h"
#include "common/rpc/unary_call.h"
#include "dfs/v1/fsck.grpc.pb.h"

namespace dfs {
namespace {

using Stub = v1::FsckService::Stub;

constexpr std::size_t kReportsMax = 65'536;

Result<FsckPart> result_from(v1::FsckNextResponse&& response) {
  TRY(convert::check_count("reports", response.reports_size(), kReportsMax));
  TRY(convert::check_count("uses", response.uses_size(), kReportsMax));
  FsckPart part;
  for (v1::FsckReport& report : *response.mutable_reports())
    part.reports.push_back({std::move(*report.mutable_text()), std::move(*report.mutable_mended()),
                            std::move(*report.mutable_not_mended()), report.mendable()});
  for (v1::ChunkUse& use : *response.mutable_uses())
    part.uses.push_back({ChunkId{use.chunk()}, InodeId{use.inode()}, std::move(*use.mutable_path()),
                         use.offset(), use.length()});
  part.rows = response.rows();
  part.inodes = response.inodes();
  part.done = response.done();
  part.mended = response.mended();
  part.left = response.left();
  return part;
}

Result<FsckChunks> result_from(const v1::FsckListChunksResponse& response) {
  TRY(convert::check_count("chunks", response.chunks_size(), kFsckListedMax));
  TRY(convert::check_count("groups", response.groups_size(), kFsckListedMax));
  FsckChunks result;
  for (const std::uint64_t chunk : response.chunks()) result.chunks.emplace_back(chunk);
  for (const v1::FsckGroup& message : response.groups()) {
    FsckGroup& group = result.groups[GroupId{message.group()}];
    group.replicas = message.replicas();
    for (const std::uint32_t member : message.members()) group.members.emplace_back(member);
  }
  return result;
}

class GrpcFsckClient final : public FsckClient {
 public:
  GrpcFsckClient(std::string address, std::chrono::milliseconds timeout)
      : address_(std::move(address)),
        timeout_(timeout),
        stub_(v1::FsckService::NewStub(make_channel(dial_target(address_)))) {}

  Result<std::uint64_t> begin(const FsckBegin& args) override {
    v1::FsckBeginRequest request;
    request.set_protocol_version(kProtocolVersion);
    request.set_repair(args.repair);
    for (const ChunkId chunk : args.users_of) request.add_users_of(chunk.value());
    const auto response = TRY((ask<v1::FsckBeginResponse>(request, &Stub::PrepareAsyncBegin)));
    return response.run();
  }
  Result<FsckPart> next(std::uint64_t run) override {
    v1::FsckNextRequest request;
    request.set_run(run);
    auto response = TRY((ask<v1::FsckNextResponse>(request, &Stub::PrepareAsyncNext)));
    return result_from(std::move(response));
  }
  Result<void> end(std::uint64_t run) override {
    v1::FsckEndRequest request;
    request.set_run(run);
    TRY((ask<v1::FsckEndResponse>(request, &Stub::PrepareAsyncEnd)));
    return {};
  }
  Result<FsckChunks> list_chunks(ChunkId first, std::uint32_t chunks_max) override {
    v1::FsckListChunksRequest request;
    request.set_first(first.value());
    request.set_chunks_max(chunks_max);
    const auto response =
        TRY((ask<v1::FsckListChunksResponse>(request, &Stub::PrepareAsyncListChunks)));
    return result_from(response);
  }

 private:
  template <typename Response>
  using Reader = std::unique_ptr<grpc::ClientAsyncResponseReader<Response>>;

  template <typename Response, typename Request>
  Result<Response> ask(const Request& request,
                       Reader<Response> (Stub::*method)(grpc::ClientContext*, const Request&,
                                                        grpc::CompletionQueue*)) {
    const std::shared_ptr<CompletionLoop> loop = CompletionLoop::shared();
    std::optional<Result<Response>> answer;  // the loop's until answered
    std::atomic<bool> answered{false};
    const auto start = [&] {
      UnaryCall<Stub, Response>::start(*stub_, method, request, timeout_, loop->queue(),
                                       [&](Result<Response> result) {
                                         answer = std::move(result);
                                         answered.store(true, std::memory_order_release);
                                       });
    };
    loop->wait_until([&] { return answered.load(std::memory_order_acquire); }, std::nullopt,
                     nullptr, start);
    if (*answer) return std::move(*answer);
    Error error = std::move(*answer).error();
    const bool silent = error.code == Errc::unavailable || error.code == Errc::timed_out;
    error.text = fmt::format("{} at {}: {}", silent ? "no metadata server answers" : "the metadata server",
                             address_, error.text);
    return fail(std::move(error));
  }

  const std::string address_;
  const std::chrono::milliseconds timeout_;
  const std::unique_ptr<Stub> stub_;
};

}  // namespace

std::unique_ptr<FsckClient> make_fsck_client(std::string meta_address,
                                             std::chrono::milliseconds timeout) {
  return std::make_unique<GrpcFsckClient>(std::move(meta_address), timeout);
}

}  // namespace dfs
