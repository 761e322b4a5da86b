// One unary call whose caller waits for the answer.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include "common/rpc/unary_call.h"

namespace dfs {

// Waits on the process's loop, which a server's streams run on too: a call
// that blocks in gRPC would take the poller from them.
template <typename Response, typename Stub, typename Request>
Result<Response> call_and_wait(Stub& stub,
                               std::unique_ptr<grpc::ClientAsyncResponseReader<Response>> (
                                   Stub::*method)(grpc::ClientContext*, const Request&,
                                                  grpc::CompletionQueue*),
                               const Request& request, std::chrono::milliseconds timeout) {
  const std::shared_ptr<CompletionLoop> loop = CompletionLoop::shared();
  std::optional<Result<Response>> answer;  // the loop's until answered
  std::atomic<bool> answered{false};
  const auto start = [&] {
    UnaryCall<Stub, Response>::start(stub, method, request, timeout, loop->queue(),
                                     [&](Result<Response> result) {
                                       answer = std::move(result);
                                       answered.store(true, std::memory_order_release);
                                     });
  };
  loop->wait_until([&] { return answered.load(std::memory_order_acquire); }, std::nullopt, nullptr,
                   start);
  return std::move(*answer);
}

}  // namespace dfs
