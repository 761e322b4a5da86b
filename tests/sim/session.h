// A session with the metadata server as a real client keeps it (meta_session.h),
// but whoever holds the other end of its messages decides when they travel.
//
// It uses the real list of unanswered requests and the real messages; what is not
// here is sockets, pauses between attempts, and limits.
//
// Threads: MetaClient's calls from any. What is for the network comes from one
// thread; hooks are called on it.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "common/rpc/late_answers.h"
#include "common/rpc/lease_hooks.h"
#include "common/rpc/meta_client.h"
#include "common/rpc/pending_requests.h"

namespace dfs::sim {

// As MetaSession's.
struct SessionHooks {
  std::function<std::vector<InodeId>()> held;
  std::function<std::vector<HeldLock>()> locks;
  LeaseHooks leases;
  std::function<void()> on_new_session;
};

class Session final : public MetaClient {
 public:
  enum class Leases { wanted, unwanted };
  // The clock must outlive it.
  Session(const Clock& clock, std::string place, Leases leases);
  ~Session() override { end(); }

  Result<MetaResult> call(MetaArgs args, const Caller& caller, Interrupt* interrupt) override;
  Result<MetaResult> call_through(MetaArgs args, const Caller& caller, Interrupt* interrupt,
                                  LateTaker late) override;
  Result<void> call_later(MetaArgs args, const Caller& caller, LateTaker done) override;
  void post(MetaArgs args) override;
  GroupTablePtr group_table() const override;
  std::uint32_t default_chunk_size() const override;
  SessionId session() const override;

  // Once it is up, and before it is asked for leases.
  void set_hooks(SessionHooks hooks);

  // --- for the network --------------------------------------------------------------

  // A connection is tried: the hello to send over it.
  grpc::ByteBuffer dial();
  // A frame to send; false if there is none, or no connection that was welcomed.
  bool next_message(grpc::ByteBuffer& message);
  bool has_message() const;
  // False: what came ends the connection.
  bool take(const grpc::ByteBuffer& message);
  // The connection is no more.
  void lost();
  bool is_down() const;
  bool is_up() const;
  // Says something to the server if it is time.
  void tick();
  // Whatever is unanswered fails, and all that is asked later. Idempotent.
  void end();

  // How often the server had forgotten it.
  std::size_t times_replaced() const;

 private:
  enum class Link { down, greeting, up };

  Result<MetaResult> await(const PendingRequestPtr& request, Interrupt* interrupt, LateTaker late);
  Result<void> add_locked(const PendingRequestPtr& request);
  // Of the session to go on with.
  struct Known {
    SessionId session;
    Epoch epoch;
    std::uint64_t succeeded = 0;
    std::uint64_t changes_told = 0;
  };
  grpc::ByteBuffer make_hello(const SessionHooks& hooks, const Known& known) const;
  bool take_welcome(v1::Welcome&& welcome);
  void take_response(v1::Response&& response);
  void take_group_table(const v1::GroupTable& message);
  void settle_locked(const PendingRequestPtr& request);
  void settle(const PendingRequestPtr& request);
  void fail_all(const std::vector<PendingRequestPtr>& requests, const Error& why);
  void finish_unattended(const PendingRequest& request);

  const Clock& clock_;
  const std::string place_;
  const Leases leases_;

  mutable std::mutex mutex_;
  std::condition_variable answered_;
  PendingRequests pending_;
  Link link_ = Link::down;
  SessionHooks hooks_;
  SessionId session_;
  Epoch epoch_;
  GroupTablePtr group_table_ = std::make_shared<const GroupTable>();
  std::uint32_t chunk_size_ = kChunkSizeDefault;
  bool has_messages_ = false;  // requests were added or queued again
  std::optional<Error> ended_;
  LeaseTerms terms_;
  SteadyTime dialed_at_{};
  SteadyTime welcomed_at_{};
  SteadyTime last_probe_{};
  bool probe_unanswered_ = false;
  std::size_t times_replaced_ = 0;
  LateAnswers late_;
};

}  // namespace dfs::sim
