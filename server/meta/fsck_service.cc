#include "server/meta/fsck_service.h"

#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "common/rpc/fsck_client.h"
#include "common/rpc/handler.h"
#include "common/rpc/protocol.h"
#include "dfs/v1/fsck.pb.h"
#include "server/meta/fsck/table_rows.h"

namespace dfs {
namespace {

Result<v1::FsckBeginResponse> begin(fsck::Desk& desk, const v1::FsckBeginRequest& request) {
  if (request.protocol_version() != kProtocolVersion)
    return fail(Errc::wrong_version,
                fmt::format("the caller speaks version {} of the protocol, the metadata server version {}",
                            request.protocol_version(), kProtocolVersion));
  if (request.users_of_size() > static_cast<int>(kFsckUsersOfMax))
    return fail(Errc::bad_message, "a search for the users of too many chunks");
  v1::FsckBeginResponse response;
  if (request.users_of_size() > 0) {
    std::set<ChunkId> chunks;
    for (const std::uint64_t chunk : request.users_of()) chunks.insert(ChunkId{chunk});
    const std::uint64_t run = TRY(desk.begin_search(std::move(chunks)));
    response.set_run(run);
    return response;
  }
  const auto mode = request.repair() ? fsck::Desk::Mode::repair : fsck::Desk::Mode::look;
  const std::uint64_t run = TRY(desk.begin_check(mode));
  response.set_run(run);
  return response;
}

Result<v1::FsckNextResponse> next(fsck::Desk& desk, const KvStore& store,
                                  const v1::FsckNextRequest& request) {
  fsck::Desk::Part part = TRY(desk.next(request.run()));
  v1::FsckNextResponse response;
  for (fsck::Report& report : part.reports) {
    v1::FsckReport& message = *response.add_reports();
    message.set_text(std::move(report.text));
    message.set_mended(std::move(report.mended));
    message.set_not_mended(std::move(report.not_mended));
    message.set_mendable(report.mendable);
  }
  for (fsck::Use& use : part.uses) {
    v1::ChunkUse& message = *response.add_uses();
    message.set_chunk(use.chunk.value());
    message.set_inode(use.inode.value());
    message.set_path(std::move(use.path));
    message.set_offset(use.offset);
    message.set_length(use.length);
  }
  response.set_rows(part.rows);
  response.set_done(part.done);
  response.set_mended(part.summary.mended);
  response.set_left(part.summary.left);
  std::string raw;
  raw_key<tables::Cluster>(raw, ClusterKey{});
  const auto bytes = TRY(store.get(raw));
  ClusterRecord row;
  if (bytes && decode(*bytes, row)) response.set_inodes(row.inodes);
  return response;
}

Result<v1::FsckListChunksResponse> list_chunks(const KvStore& store,
                                               const v1::FsckListChunksRequest& request) {
  const auto snapshot = store.snapshot();
  fsck::TableRows<tables::Chunks> chunks(*snapshot);
  fsck::TableRows<tables::Groups> groups(*snapshot);
  v1::FsckListChunksResponse response;
  GroupId told{};
  TRY(chunks.seek(ChunkId{request.first()}));
  const std::size_t most = std::min<std::size_t>(request.chunks_max(), kFsckListedMax);
  for (std::size_t count = 0; count < most && chunks.valid(); ++count) {
    const GroupId group = chunks.key().group();
    response.add_chunks(chunks.key().value());
    if (group != told) {
      const bool known = TRY(groups.find(group));
      v1::FsckGroup& message = *response.add_groups();
      message.set_group(group.value());
      const GroupRecord* record = known ? groups.record() : nullptr;
      if (record != nullptr) {
        message.set_replicas(record->replicas);
        for (const GroupMember& member : record->members) message.add_members(member.server.value());
      }
      told = group;
    }
    TRY(chunks.next());
  }
  return response;
}

}  // namespace

std::map<std::string, UnaryMethod> fsck_service(fsck::Desk& desk, const KvStore& store,
                                                Executor& executor) {
  return {{"/dfs.v1.FsckService/Begin",
           unary_method<v1::FsckBeginRequest, v1::FsckBeginResponse>(
               executor, [&desk](const auto& request) { return begin(desk, request); })},
          {"/dfs.v1.FsckService/Next",
           unary_method<v1::FsckNextRequest, v1::FsckNextResponse>(
               executor, [&desk, &store](const auto& request) { return next(desk, store, request); })},
          {"/dfs.v1.FsckService/End",
           unary_method<v1::FsckEndRequest, v1::FsckEndResponse>(
               executor,
               [&desk](const auto& request) -> Result<v1::FsckEndResponse> {
                 desk.end(request.run());
                 return v1::FsckEndResponse();
               })},
          {"/dfs.v1.FsckService/ListChunks",
           unary_method<v1::FsckListChunksRequest, v1::FsckListChunksResponse>(
               executor, [&store](const auto& request) { return list_chunks(store, request); })}};
}

}  // namespace dfs
