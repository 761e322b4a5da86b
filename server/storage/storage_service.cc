#include "server/storage/storage_service.h"

#include <chrono>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "common/base/process.h"
#include "common/rpc/handler.h"
#include "common/rpc/protocol.h"
#include "dfs/v1/storage.pb.h"
#include "server/storage/get_stream.h"
#include "server/storage/put_stream.h"

namespace dfs::storage {
namespace {

constexpr int kChunksPerCallMax = 65536;

Result<std::vector<ChunkId>> chunks_from(const google::protobuf::RepeatedField<std::uint64_t>& ids) {
  if (ids.size() > kChunksPerCallMax)
    return fail(Errc::bad_message, fmt::format("{} chunks in one call", ids.size()));
  std::vector<ChunkId> chunks;
  chunks.reserve(static_cast<std::size_t>(ids.size()));
  for (const std::uint64_t id : ids) chunks.push_back(ChunkId{id});
  return chunks;
}

Result<void> check_cluster(const std::string& theirs, const std::optional<Membership>& ours) {
  if (!ours) return fail(Errc::unavailable, "the server is not registered yet");
  if (theirs.empty() || theirs == ours->cluster) return {};
  return fail(Errc::wrong_cluster, fmt::format("the caller belongs to cluster {}, this server to {}",
                                               theirs, ours->cluster));
}

Result<v1::StatChunksResponse> stat(StoreSet& stores, const v1::StatChunksRequest& request) {
  const std::vector<ChunkId> chunks = TRY(chunks_from(request.chunks()));
  v1::StatChunksResponse response;
  for (const ChunkId chunk : chunks) {
    v1::ChunkInfo& info = *response.add_chunks();
    info.set_chunk(chunk.value());
    ChunkStore* const store = TRY(stores.store_of(chunk));
    if (store == nullptr) continue;
    const auto meta = store->stat(chunk);
    if (!meta) continue;  // damaged is as good as absent: it is logged and counted
    info.set_present(true);
    info.set_length(meta->length);
    info.set_inode(meta->inode.value());
    info.set_file_offset(meta->file_offset);
    info.set_written(meta->written);
    info.set_scattered(meta->scattered);
  }
  return response;
}

Result<v1::IdentifyResponse> identify(const v1::IdentifyRequest& request,
                                      const std::optional<Membership>& membership) {
  TRY(check_cluster(request.cluster(), membership));
  if (request.protocol_version() != kProtocolVersion)
    return fail(Errc::wrong_version,
                fmt::format("the caller speaks protocol version {}, this server version {}",
                            request.protocol_version(), kProtocolVersion));
  v1::IdentifyResponse response;
  response.set_cluster(membership->cluster);
  response.set_server(membership->server.value());
  response.set_protocol_version(kProtocolVersion);
  response.set_version(version());
  response.set_machine(machine_id());
  return response;
}

}  // namespace

StorageService::StorageService(ServiceContext& context, MembershipSource membership)
    : context_(context), membership_(std::move(membership)) {}

std::map<std::string, StreamServer::Factory> StorageService::streams() {
  const auto door = [this](auto make) -> StreamServer::Factory {
    return [this, make](std::shared_ptr<StreamPeer> peer) -> std::unique_ptr<StreamHandler> {
      const auto membership = membership_();
      if (!membership) return nullptr;
      return make(context_, *membership, std::move(peer));
    };
  };
  return {{"/dfs.v1.StorageService/Put", door(make_put_stream)},
          {"/dfs.v1.StorageService/Get", door(make_get_stream)}};
}

std::map<std::string, UnaryMethod> StorageService::unary() {
  return {
      {"/dfs.v1.StorageService/Sync",
       [this](grpc::ByteBuffer bytes, UnaryReply reply) { sync(std::move(bytes), std::move(reply)); }},
      {"/dfs.v1.StorageService/Stat",
       unary_method<v1::StatChunksRequest, v1::StatChunksResponse>(
           context_.disk,
           [this](const v1::StatChunksRequest& request) { return stat(context_.stores, request); })},
      {"/dfs.v1.StorageService/Identify",
       inline_unary_method<v1::IdentifyRequest, v1::IdentifyResponse>(
           [this](const v1::IdentifyRequest& request) { return identify(request, membership_()); })},
  };
}

// Waits on no thread: the disk's own thread answers when it is done.
void StorageService::sync(grpc::ByteBuffer bytes, UnaryReply reply) {
  v1::SyncChunksRequest request;
  if (auto parsed = parse_message(bytes, request); !parsed) return reply(fail(parsed.error()));
  if (auto known = check_cluster(request.cluster(), membership_()); !known)
    return reply(fail(known.error()));
  auto chunks = chunks_from(request.chunks());
  if (!chunks) return reply(fail(chunks.error()));

  v1::SyncChunksResponse response;
  std::vector<ChunkId> present;
  for (const ChunkId chunk : *chunks) {
    const auto store = context_.stores.store_of(chunk);
    if (!store) return reply(fail(store.error()));
    const auto here = *store == nullptr ? Result<bool>(false) : (*store)->contains(chunk);
    if (!here) return reply(fail(here.error()));
    if (*here) {
      present.push_back(chunk);
    } else {
      response.add_missing(chunk.value());
    }
  }
  const SteadyTime start = context_.clock.now();
  context_.stores.sync(present, [this, start, reply = std::move(reply),
                                 response = std::move(response)](const Result<void>& synced) {
    const std::chrono::duration<double> took = context_.clock.now() - start;
    context_.metrics.sync_seconds.observe(took.count());
    if (!synced) return reply(fail(synced.error()));
    reply(serialize_message(response));
  });
}

}  // namespace dfs::storage
