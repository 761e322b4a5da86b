// One connection of a GrpcStorageClient: the streams Put and Get of one
// server, and what is outstanding on them. For grpc_storage_client.cc only.
// How it begins and ends is in storage_connection_link.cc, calls beside the
// streams in storage_connection_plain.cc.
//
// Its state goes idle -> connecting -> up -> ending -> idle, on the completion
// loop only, except that a call takes idle to connecting.
//
// Threads: any for the public calls. It lives until it is closed and gRPC has
// nothing of it any more: is_quiet().
#pragma once

#include <grpcpp/channel.h>

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#include "common/base/clock.h"
#include "common/base/result.h"
#include "common/rpc/completion_loop.h"
#include "common/rpc/get_call.h"
#include "common/rpc/grpc_storage_client.h"
#include "common/rpc/put_queue.h"
#include "common/rpc/stream_client.h"
#include "dfs/v1/storage.grpc.pb.h"

namespace dfs {

// A call beside the streams: what begins it once the connection stands, and
// what tells that it never will. One of the two, once.
struct PlainCall {
  std::function<void()> start;
  std::function<void(const Error&)> refuse;
};

class StorageConnection final : public std::enable_shared_from_this<StorageConnection>,
                                private Ticker {
 public:
  StorageConnection(StorageClientOptions options, ServerInfo server, GroupTableSource table,
                    Clock& clock);

  void open();
  // Everything outstanding fails; is_quiet() when nothing is left.
  void close();
  bool is_quiet() const { return quiet_.load(); }
  CompletionLoop& loop() { return *loop_; }

  void put(PutArgs args, std::function<void(Result<PutOutcome>)> done);
  void get(std::vector<GetArgs> ranges, GetCall::Done done);
  void sync(std::vector<ChunkId> chunks, std::function<void(Result<void>)> done);
  void stat(std::vector<ChunkId> chunks,
            std::function<void(Result<std::vector<StoredChunk>>)> done);

 private:
  // Between attempts to connect.
  static constexpr std::chrono::milliseconds kPauseLeast{100};
  static constexpr std::chrono::milliseconds kPauseMost{1'000};

  enum class State { idle, connecting, up, ending };

  // The user of one of the two streams.
  struct Lane final : StreamUser {
    using Next = bool (StorageConnection::*)(grpc::ByteBuffer&);
    using Take = void (StorageConnection::*)(grpc::ByteBuffer);
    Lane(StorageConnection& connection, Next next_one, Take take_one)
        : owner(connection), next(next_one), take(take_one) {}
    bool next_message(grpc::ByteBuffer& message) override { return (owner.*next)(message); }
    void on_message(grpc::ByteBuffer message) override { (owner.*take)(std::move(message)); }
    void on_end(Error why) override { owner.lane_ended(*this, std::move(why)); }

    StorageConnection& owner;
    const Next next;
    const Take take;
    std::shared_ptr<StreamClient> stream;  // under the owner's mutex
    bool greeted = false;                  // the same
  };

  // Any thread.
  void submit_get(const GetCallPtr& call, std::optional<Error> refused);
  void submit_plain(PlainCall call, std::size_t chunks);
  Error error(Errc code, std::string_view why) const;
  std::vector<ForwardTarget> targets(const std::vector<ServerId>& servers) const;
  // Null if calls may be queued now; otherwise what they fail with.
  std::optional<Error> admit_locked();
  bool next_put(grpc::ByteBuffer& message);
  bool next_get(grpc::ByteBuffer& message);
  std::optional<StreamGreeting> greeting_locked(Lane& lane) const;

  // The loop only.
  void on_tick(SteadyTime now) override;
  void connect();
  void identified(Result<v1::IdentifyResponse> response);
  Result<void> check_identity(const v1::IdentifyResponse& response) const;
  void take_put(grpc::ByteBuffer message);
  void take_get(grpc::ByteBuffer message);
  void read_local(const GetCallPtr& call, GetCall::LocalPart part);
  void took_local(const GetCallPtr& call, std::size_t range, const Result<void>& result);
  template <typename Response, typename Request>
  using PlainMethod = std::unique_ptr<grpc::ClientAsyncResponseReader<Response>> (
      v1::StorageService::Stub::*)(grpc::ClientContext*, const Request&, grpc::CompletionQueue*);
  template <typename Response, typename Request>
  void start_plain(PlainMethod<Response, Request> method, const Request& request,
                   std::function<void(Result<Response>)> done);
  void break_off(Error why);
  void lane_ended(Lane& lane, Error why);
  void settle_if_ended();
  void finish_put(PutCallPtr call, Result<PutOutcome> result);
  // Nothing more comes for the call.
  void end_get(const GetCallPtr& call, const Error& why);
  void finish_get(const GetCallPtr& call);
  void finish_lingering();
  void give_up_stuck(SteadyTime now);

  const StorageClientOptions options_;
  const ServerInfo server_;
  const GroupTableSource table_;
  Clock& clock_;
  // Before loop_ in destruction: its threads are joined while the loop stands.
  const std::shared_ptr<CompletionLoop> loop_;
  const std::shared_ptr<LocalReader> local_reader_;

  std::mutex mutex_;  // of all up to the next blank line
  State state_ = State::idle;
  SteadyTime retry_at_{};
  Error last_failure_;
  bool closing_ = false;
  bool local_ = false;  // the server is here, and nothing said that its files are not
  PutQueue puts_;
  std::map<std::uint64_t, GetCallPtr> gets_;
  std::deque<std::uint64_t> gets_to_send_;
  std::uint64_t next_get_id_ = 1;
  std::vector<PlainCall> plain_calls_;  // that wait for the connection
  Lane put_lane_{*this, &StorageConnection::next_put, &StorageConnection::take_put};
  Lane get_lane_{*this, &StorageConnection::next_get, &StorageConnection::take_get};

  // The loop's.
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::StorageService::Stub> stub_;
  bool identifying_ = false;
  bool heard_ = false;  // something came since the connection stood
  std::size_t local_reads_ = 0;  // under way
  std::chrono::milliseconds pause_{kPauseLeast};
  std::size_t plain_in_flight_ = 0;
  int memory_looks_ = 0;
  struct Lingering {
    PutCallPtr call;
    Result<PutOutcome> result;
  };
  std::vector<Lingering> lingering_;  // over, but gRPC still holds the memory
  std::shared_ptr<StorageConnection> self_;
  std::atomic<bool> quiet_{false};
};

}  // namespace dfs
