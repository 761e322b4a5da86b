// MetaSession over gRPC. What callers do and how the session is opened and
// closed is in meta_session.cc, the life of its connection in
// meta_session_link.cc. For these two only.
//
// link_ goes down -> greeting -> up and back, on the completion loop only.
// What callers share with it is under mutex_.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "common/rpc/completion_loop.h"
#include "common/rpc/late_answers.h"
#include "common/rpc/meta_session.h"
#include "common/rpc/pending_requests.h"
#include "common/rpc/stream_client.h"
#include "dfs/v1/meta.pb.h"

namespace dfs {

class GrpcMetaSession final : public MetaSession, private StreamUser, private Ticker {
 public:
  GrpcMetaSession(Options options, Clock& clock)
      : options_(std::move(options)),
        clock_(clock),
        loop_(CompletionLoop::shared()),
        group_table_(std::make_shared<const GroupTable>()) {
    take_over_record();
  }
  ~GrpcMetaSession() override { close(); }

  Result<void> open();

  Result<MetaResult> call(MetaArgs args, const Caller& caller, Interrupt* interrupt) override;
  Result<MetaResult> call_through(MetaArgs args, const Caller& caller, Interrupt* interrupt,
                                  LateTaker late) override;
  Result<void> call_later(MetaArgs args, const Caller& caller, LateTaker done) override;
  void post(MetaArgs args) override;
  void end() override { close(); }
  GroupTablePtr group_table() const override;
  std::uint32_t default_chunk_size() const override;
  SessionId session() const override;
  const std::string& cluster() const override { return cluster_; }
  bool connected() const override;
  bool adopted() const override { return adopted_.load(); }
  void set_held(std::function<std::vector<InodeId>()> held) override;
  void set_locks(std::function<std::vector<HeldLock>()> locks) override;
  void set_unsent(std::function<UnsentBytes()> unsent) override;
  void set_lease_hooks(LeaseHooks hooks) override;
  void set_on_new_session(std::function<void(SessionId)> hook) override;

 private:
  enum class Link { down, greeting, up };
  enum class Goodbye { none, due, said };

  // Between two attempts to connect; doubled each time.
  static constexpr std::chrono::milliseconds kPauseLeast{50};
  static constexpr std::chrono::milliseconds kPauseMost{1'000};
  // Answers to come whose callers were interrupted.
  static constexpr std::size_t kLateMax = 16'384;

  // StreamUser and Ticker.
  bool next_message(grpc::ByteBuffer& message) override;
  void on_message(grpc::ByteBuffer message) override;
  void on_end(Error why) override;
  void on_tick(SteadyTime now) override;

  // On the loop.
  void dial();
  KeepAliveArgs sign_of_life() const;
  grpc::ByteBuffer make_hello();
  void take_welcome(v1::Welcome&& welcome);
  void take_error(const v1::Error& error);
  void take_response(v1::Response&& response);
  void take_group_table(const v1::GroupTable& message);
  void take_recall(const v1::LeaseRecall& message);
  Result<void> take_estate(const v1::Welcome& welcome);
  void take_terms(const v1::Welcome& welcome);
  void probe(SteadyTime now);
  void break_off(Error why);
  void end_for_good(Error why);
  void refuse(Error why);

  // The end of a session; all but close() on the loop.
  void close();
  void say_goodbye();
  void hang_up();
  void settle_the_rest();

  void take_over_record();
  void remember_locked();
  void start_leases();

  Result<MetaResult> await(const PendingRequestPtr& request, Interrupt* interrupt,
                           LateTaker late);
  WaitEnd wait_for_room(std::optional<SteadyTime> deadline, Interrupt* interrupt);
  void send(const PendingRequestPtr& request);
  std::shared_ptr<StreamClient> submit(const PendingRequestPtr& request);
  std::optional<Error> why_not_added_locked(const PendingRequest& request) const;
  std::shared_ptr<StreamClient> submit_locked(const PendingRequestPtr& request);
  bool leave_for_later(const PendingRequestPtr& request, LateTaker& late);
  bool abandon(const PendingRequestPtr& request);
  Error why_not_answered(Errc code) const;
  void finish(const PendingRequestPtr& request);
  void fail_all(const std::vector<PendingRequestPtr>& requests, const Error& why);
  void finish_unattended(const PendingRequest& request);

  Options options_;
  Clock& clock_;
  const std::shared_ptr<CompletionLoop> loop_;
  std::string cluster_;  // written once, before open() returns

  mutable std::mutex mutex_;  // of all up to the next blank line
  Link link_ = Link::down;
  PendingRequests pending_;
  std::shared_ptr<StreamClient> stream_;
  std::optional<Error> ended_;  // for good
  Error last_failure_{Errc::unavailable, "not connected yet"};
  SessionId session_;
  Epoch session_epoch_;
  GroupTablePtr group_table_;
  std::uint32_t chunk_size_ = kChunkSizeDefault;
  SteadyTime last_sent_{};
  LeaseHooks leases_;
  LeaseTerms terms_;        // of the connection that stands
  SteadyTime welcomed_at_;  // asked for then
  // The session is a former process's, and nobody here knows what it has.
  bool adopting_ = false;
  SessionEstate estate_;                   // told by the latest welcome
  std::vector<LeaseRecall> early_recalls_;  // nobody could hear of them yet
  bool hello_due_ = false;
  Goodbye goodbye_ = Goodbye::none;

  // The loop's.
  bool closing_ = false;
  bool failure_is_known_ = false;  // break_off() said why; the stream's end adds nothing
  grpc::ByteBuffer hello_;
  std::chrono::milliseconds pause_ = kPauseLeast;
  SteadyTime next_dial_{};
  SteadyTime greeting_deadline_{};
  SteadyTime dialed_at_{};
  SteadyTime last_probe_{};
  bool probe_unanswered_ = false;
  v1::ServerFrame frame_;
  LateAnswers late_{kLateMax};  // expect() under mutex_

  // What waits look at.
  std::atomic<std::size_t> unanswered_{0};
  std::atomic<bool> welcomed_{false};
  std::atomic<bool> over_{false};
  std::atomic<bool> adopted_{false};
  std::atomic<std::size_t> failed_attempts_{0};
  std::atomic<bool> quiet_{false};
};

}  // namespace dfs
