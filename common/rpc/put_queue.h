// The puts of one connection: what goes into the next frame, and what an
// answer means. For grpc_storage_client.cc only.
//
// Invariants:
//   of one put, offset `sent` is at a block border or at the end;
//   acknowledged <= sent of every put; in_flight() is the sum of the differences;
//   a new frame is started only while in_flight() < window_bytes.
//
// Threads: none of its own; the client locks around it.
#pragma once

#include <grpcpp/support/byte_buffer.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "common/base/clock.h"
#include "common/base/result.h"
#include "common/rpc/storage_client.h"
#include "common/rpc/storage_messages.h"

namespace dfs {

struct PutCall {
  PutCall(PutArgs put, std::vector<ForwardTarget> targets,
          std::function<void(Result<PutOutcome>)> on_done);

  PutArgs args;
  std::vector<ForwardTarget> forward;
  std::function<void(Result<PutOutcome>)> done;
  std::uint32_t length = 0;         // of the chunk
  std::uint32_t sent = 0;
  std::uint32_t acknowledged = 0;
  bool asks = false;                // a query is to be sent or unanswered
  bool asked = false;               // the query has been sent
  bool described = false;           // the server knows epoch, targets and so on
  SteadyTime last_progress{};
  // Shared with every frame that gRPC still sends from the caller's memory.
  std::shared_ptr<const void> memory;

  bool memory_is_free() const;
};
using PutCallPtr = std::shared_ptr<PutCall>;

class PutQueue {
 public:
  explicit PutQueue(std::size_t window_bytes) : window_bytes_(window_bytes) {}

  // Null and why if the arguments make no put: `invalid`, or `busy` when the
  // chunk is already being put.
  Result<void> add(const PutCallPtr& call);

  // The next frame; false if there is none or the window is full.
  bool next_frame(grpc::ByteBuffer& frame, std::optional<StreamGreeting> greeting, SteadyTime now);

  struct Finished {
    PutCallPtr call;
    Result<PutOutcome> result;
  };
  // Nothing if the put goes on, or is not known (it was given up).
  Result<std::optional<Finished>> take_answer(PutAnswer&& answer, SteadyTime now);

  std::vector<PutCallPtr> take_all();
  // Those begun that have not moved since `then`.
  std::vector<PutCallPtr> take_stuck(SteadyTime then);

  bool empty() const { return calls_.empty(); }
  std::size_t in_flight() const { return in_flight_; }

 private:
  grpc::ByteBuffer encode_part(PutCall& call, std::optional<StreamGreeting> greeting);
  void remove(const PutCall& call);

  const std::size_t window_bytes_;
  std::unordered_map<ChunkId, PutCallPtr> calls_;
  std::deque<PutCallPtr> to_send_;  // of those, with something to send
  std::size_t in_flight_ = 0;
};

}  // namespace dfs
