// Thin handlers: a typed unary method for StreamServer out of a function.
//
//   methods["/dfs.v1.StorageService/Stat"] =
//       unary_method<v1::StatChunksRequest, v1::StatChunksResponse>(
//           executor, [this](const v1::StatChunksRequest& request) { return stat(request); });
//
// The request is parsed on the polling thread, `work` runs on `executor`
// (it may wait for a disk, the polling thread may not), and its answer goes out
// from there.
// A full queue turns into `overloaded`, a request that does not parse into
// `bad_message`.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "common/base/executor.h"
#include "common/base/result.h"
#include "common/rpc/frame.h"
#include "common/rpc/stream_server.h"

namespace dfs {

// `executor` must outlive the server.
template <typename Request, typename Response>
UnaryMethod unary_method(Executor& executor,
                         std::function<Result<Response>(const Request&)> work) {
  return [&executor, work = std::move(work)](grpc::ByteBuffer bytes, UnaryReply reply) {
    auto request = std::make_shared<Request>();
    if (auto parsed = parse_message(bytes, *request); !parsed)
      return reply(fail(std::move(parsed).error()));
    const bool accepted = executor.submit([request, work, reply] {
      Result<Response> response = work(*request);
      if (!response) return reply(fail(std::move(response).error()));
      reply(serialize_message(*response));
    });
    if (!accepted) reply(fail(Errc::overloaded, "the server's queue is full"));
  };
}

// The same, answered on the polling thread: for work that only touches memory.
template <typename Request, typename Response>
UnaryMethod inline_unary_method(std::function<Result<Response>(const Request&)> work) {
  return [work = std::move(work)](grpc::ByteBuffer bytes, UnaryReply reply) {
    Request request;
    if (auto parsed = parse_message(bytes, request); !parsed)
      return reply(fail(std::move(parsed).error()));
    Result<Response> response = work(request);
    if (!response) return reply(fail(std::move(response).error()));
    reply(serialize_message(*response));
  };
}

}  // namespace dfs
