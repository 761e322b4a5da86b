// One unary call on the completion loop, for clients of a generated stub.
#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/support/async_unary_call.h>

#include <chrono>
#include <functional>
#include <memory>
#include <utility>

#include "common/base/result.h"
#include "common/rpc/completion_loop.h"
#include "common/rpc/grpc_status.h"

namespace dfs {

// Deletes itself when it has completed. Whoever starts one keeps the loop
// alive until `done` has been called, which happens once, on the loop.
template <typename Stub, typename Response>
class UnaryCall final : public Completion {
 public:
  using Reader = std::unique_ptr<grpc::ClientAsyncResponseReader<Response>>;

  template <typename Request>
  static void start(Stub& stub,
                    Reader (Stub::*method)(grpc::ClientContext*, const Request&,
                                           grpc::CompletionQueue*),
                    const Request& request, std::chrono::milliseconds timeout,
                    grpc::CompletionQueue* queue, std::function<void(Result<Response>)> done) {
    auto* call = new UnaryCall(std::move(done));
    call->context_.set_deadline(std::chrono::system_clock::now() + timeout);
    call->reader_ = (stub.*method)(&call->context_, request, queue);
    call->reader_->StartCall();
    call->reader_->Finish(&call->response_, &call->status_, CompletionLoop::tag(call));
  }
  void complete(bool) override {
    const std::unique_ptr<UnaryCall> self(this);
    if (status_.ok())
      done_(std::move(response_));
    else
      done_(fail(from_grpc(status_)));
  }

 private:
  explicit UnaryCall(std::function<void(Result<Response>)> done) : done_(std::move(done)) {}

  grpc::ClientContext context_;
  Reader reader_;
  Response response_;
  grpc::Status status_;
  std::function<void(Result<Response>)> done_;
};

}  // namespace dfs
