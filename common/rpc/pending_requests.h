// The requests of a MetaSession that have no answer yet, and what of them
// goes into the next frame. For meta_session*.cc only.
//
// Invariants:
//   a sequence is given to a mutation when it is first sent, counting from 1;
//   answered_through() < every sequence without an answer, and every one of an
//   operation that is not over;
//   a request is queued or sent, and unanswered, exactly while it is in here.
//
// Threads: none of its own; the session locks around it.
#pragma once

#include <google/protobuf/message_lite.h>
#include <grpcpp/support/byte_buffer.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/result.h"
#include "common/rpc/meta_api.h"
#include "common/rpc/operation_table.h"
#include "common/rpc/session_memo.h"
#include "dfs/v1/meta.pb.h"

namespace dfs {

// Who takes an answer after the caller has gone.
using LateTaker = std::function<void(Result<MetaResult>)>;

struct PendingRequest {
  // Encodes `args`. Gets its id when it is added.
  PendingRequest(const MetaArgs& args, const Caller& caller);

  const bool is_mutation;
  const bool opens;            // its success holds an inode open
  const bool is_release;
  const bool is_commit;
  const SessionId only_under;  // may be sent under this session alone; 0: under any
  bool posted = false;         // nobody waits for it
  bool abandoned = false;      // whoever waited has gone
  LateTaker late;              // whoever waited has gone, but this takes the answer
  bool release_is_stale = false;
  bool sent = false;           // on some connection, at some time
  bool queued = false;         // to be sent, or sent again
  std::uint64_t id = 0;
  std::uint64_t sequence = 0;
  OperationId operation;       // that it is a mutation of
  std::uint64_t identity = 0;  // within it
  std::string encoded;         // a v1::Request; id and sequence are appended
  std::optional<SteadyTime> probes_at;  // asked to hear that the server knows the session

  // The answer: written before `finished`, read after it.
  v1::Response response;
  std::optional<Error> failure;  // instead of `response`
  std::atomic<bool> finished{false};

  // Whether it may be sent under `session`.
  bool suits(SessionId session) const {
    return only_under == SessionId{} || only_under == session;
  }
  // The answer as callers see it, once. Never `interrupted`, which only the
  // caller's own side says.
  Result<MetaResult> take_answer();
};
using PendingRequestPtr = std::shared_ptr<PendingRequest>;

class PendingRequests {
 public:
  // Where the session is remembered, and operations that are not over; either may
  // be null. Sequences go on where they were there. Before anything is added.
  void remember_in(SessionMemo* record, OperationTable* operations);

  std::size_t size() const { return unanswered_.size(); }
  bool holds(const PendingRequest& request) const { return unanswered_.contains(request.id); }

  void add(PendingRequestPtr request);
  // Fills `frame` with what is queued, as much as one frame holds.
  bool next_frame(grpc::ByteBuffer& frame);
  // Removes and returns the request that an answer is for; null if there is none.
  PendingRequestPtr take(std::uint64_t id);
  // It was answered with success, as this change of the session (Response.change).
  void succeeded(const PendingRequest& request, std::uint64_t change) {
    succeeded_ = std::max(succeeded_, request.sequence);
    changes_told_ = std::max(changes_told_, change);
  }
  // The largest of those, under this session; for its hello.
  std::uint64_t largest_succeeded() const { return succeeded_; }
  std::uint64_t changes_told() const { return changes_told_; }
  // Nobody waits for it any more; it is in here. Forgets it if it was never sent.
  void abandon(const PendingRequestPtr& request);

  // The releases here are covered by what the next greeting lists as held.
  void mark_releases_stale();
  // A connection stands again and the server knows the session: everything is
  // queued again, in order; stale releases are returned as done with.
  std::vector<PendingRequestPtr> resume();
  // A new session stands: as resume(), but mutations that were sent are
  // returned as failed, and sequences start at 1. So are commits that were not,
  // whatever they are bound to: others may have got the files meanwhile, and what
  // follows has to say so.
  struct Restart {
    std::vector<PendingRequestPtr> stale;
    std::vector<PendingRequestPtr> in_doubt;
  };
  Restart restart();
  // Removes all.
  std::vector<PendingRequestPtr> take_all();

 private:
  std::uint64_t answered_through() const;
  void give_sequence(PendingRequest& request);
  void take_former_sequence(PendingRequest& request);
  void settle_sequence(const PendingRequest& request);

  SessionMemo* record_ = nullptr;
  OperationTable* operations_ = nullptr;
  std::uint64_t next_id_ = 1;
  std::uint64_t next_sequence_ = 1;
  std::uint64_t succeeded_ = 0;
  std::uint64_t changes_told_ = 0;
  std::map<std::uint64_t, PendingRequestPtr> unanswered_;  // by id, that is, in order
  std::deque<PendingRequestPtr> queue_;                    // of those, what to send
  std::set<std::uint64_t> open_sequences_;
};

}  // namespace dfs
