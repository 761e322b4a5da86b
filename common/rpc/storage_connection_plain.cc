// Calls beside the two streams.
#include <algorithm>
#include <utility>

#include "common/rpc/storage_connection.h"
#include "common/rpc/unary_call.h"

namespace dfs {
namespace {

// Stable media may be slow: a sync gets this many times progress_timeout.
constexpr int kSyncPatience = 4;
constexpr std::size_t kChunksPerCallMax = 256 << 10;

using Stub = v1::StorageService::Stub;

}  // namespace

template <typename Response, typename Request>
void StorageConnection::start_plain(PlainMethod<Response, Request> method, const Request& request,
                                    std::function<void(Result<Response>)> done) {
  const auto finish = [this, done = std::move(done)](Result<Response> response) {
    loop_->unattended_ends();
    done(std::move(response));
  };
  if (stub_ == nullptr) return finish(fail(error(Errc::unavailable, "the connection broke")));
  ++plain_in_flight_;
  UnaryCall<Stub, Response>::start(
      *stub_, method, request, options_.progress_timeout * kSyncPatience, loop_->queue(),
      [self = shared_from_this(), finish](Result<Response> response) {
        --self->plain_in_flight_;
        if (response)
          finish(std::move(response));
        else
          finish(fail(self->error(response.error().code, response.error().text)));
        self->settle_if_ended();
      });
}

void StorageConnection::sync(std::vector<ChunkId> chunks, std::function<void(Result<void>)> done) {
  v1::SyncChunksRequest request;
  request.set_cluster(options_.cluster);
  for (const ChunkId chunk : chunks) request.add_chunks(chunk.value());
  const auto answered = [done](Result<v1::SyncChunksResponse> response) {
    if (!response) return done(fail(std::move(response).error()));
    if (response->missing_size() == 0) return done({});
    done(fail(Errc::not_found, to_string(ChunkId{response->missing(0)}) + " is not there"));
  };
  submit_plain({[this, request = std::move(request), answered] {
                  start_plain<v1::SyncChunksResponse>(&Stub::PrepareAsyncSync, request, answered);
                },
                [done](const Error& why) { done(fail(why)); }},
               chunks.size());
}

void StorageConnection::stat(std::vector<ChunkId> chunks,
                             std::function<void(Result<std::vector<StoredChunk>>)> done) {
  v1::StatChunksRequest request;
  for (const ChunkId chunk : chunks) request.add_chunks(chunk.value());
  const auto answered = [done, chunks](Result<v1::StatChunksResponse> response) {
    if (!response) return done(fail(std::move(response).error()));
    std::vector<StoredChunk> stored;
    for (const v1::ChunkInfo& info : response->chunks())
      stored.push_back({ChunkId{info.chunk()}, info.present(), info.length(),
                        InodeId{info.inode()}, info.file_offset(), info.written(),
                        info.scattered()});
    const auto is_answer = [](const StoredChunk& one, ChunkId asked) {
      return one.chunk == asked && (!one.present || (one.length > 0 && one.length <= kChunkSizeMax));
    };
    if (!std::equal(stored.begin(), stored.end(), chunks.begin(), chunks.end(), is_answer))
      return done(fail(Errc::bad_message, "the answer is about other chunks"));
    done(std::move(stored));
  };
  submit_plain({[this, request = std::move(request), answered] {
                  start_plain<v1::StatChunksResponse>(&Stub::PrepareAsyncStat, request, answered);
                },
                [done](const Error& why) { done(fail(why)); }},
               chunks.size());
}

void StorageConnection::submit_plain(PlainCall call, std::size_t chunks) {
  std::optional<Error> refused;
  if (chunks > kChunksPerCallMax) refused = Error{Errc::invalid, "a call names too many chunks"};
  bool starts = false;
  {
    const std::lock_guard lock(mutex_);
    if (!refused) refused = admit_locked();
    starts = state_ == State::up;
    if (!refused && !starts) plain_calls_.push_back(call);
  }
  loop_->unattended_begins();
  if (refused)
    return loop_->run_soon([self = shared_from_this(), call = std::move(call),
                            why = std::move(*refused)] {
      self->loop_->unattended_ends();
      call.refuse(why);
    });
  if (starts)
    loop_->run_soon([self = shared_from_this(), call = std::move(call)] { call.start(); });
}

}  // namespace dfs
