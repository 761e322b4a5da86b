#include "server/meta/meta_service.h"

#include <google/protobuf/arena.h>

#include <atomic>
#include <mutex>
#include <utility>

#include <fmt/format.h>

#include "common/base/log.h"
#include "common/base/process.h"
#include "common/rpc/convert.h"
#include "common/rpc/frame.h"
#include "common/rpc/protocol.h"
#include "server/meta/sessions/session_jobs.h"

namespace dfs {
namespace {

// Answers are packed into frames of about this size; one answer stays whole.
constexpr std::size_t kAnswerFrameBytes = 1 * MiB;
// A small frame is parsed and made in memory of the stack.
constexpr std::size_t kArenaBlockBytes = 8 * KiB;

class FrameArena {
 public:
  FrameArena() : arena_(options(block_)) {}
  template <typename Message>
  Message& make() {
    return *google::protobuf::Arena::CreateMessage<Message>(&arena_);
  }

 private:
  static google::protobuf::ArenaOptions options(char* block) {
    google::protobuf::ArenaOptions options;
    options.initial_block = block;
    options.initial_block_size = kArenaBlockBytes;
    return options;
  }
  alignas(8) char block_[kArenaBlockBytes];
  google::protobuf::Arena arena_;
};

// One client's stream: the way back, and what the door knows of it.
class Connection final : public ReplySink, public std::enable_shared_from_this<Connection> {
 public:
  Connection(Core& core, std::shared_ptr<StreamPeer> peer, MetaServiceOptions options)
      : core_(core),
        peer_(std::move(peer)),
        options_(options),
        malformed_(metrics().counter("dfs_meta_malformed_total",
                                     "Streams ended because a message broke the protocol.")) {}

  // --- from the client, one at a time -------------------------------------------

  Reading on_message(const grpc::ByteBuffer& message) {
    FrameArena arena;
    auto& frame = arena.make<v1::ClientFrame>();
    Result<Reading> read = parse_message(message, frame).and_then([&] {
      return welcomed_ ? take_requests(frame) : take_hello(frame);
    });
    if (read) return *read;
    malformed_.add();
    log_warn("meta", "{} sent what is not understood: {}", peer_->peer_address(),
             read.error().to_string());
    end(read.error());
    return Reading::pause;
  }

  void on_end() {
    std::optional<std::pair<SessionId, Epoch>> session;
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
      session = session_;
    }
    if (session) core_.run(make_disconnect_job(session->first, session->second));
  }

  // --- to the client, any thread ---------------------------------------------------

  void deliver(std::vector<CoreReply> replies) override {
    FrameArena arena;
    auto& frame = arena.make<v1::ServerFrame>();
    std::size_t bytes = 0;
    for (const CoreReply& reply : replies) {
      v1::Response& response = *frame.add_responses();
      response.set_id(reply.id);
      response.set_lease_order(reply.lease_order);
      response.set_change(reply.change);
      to_proto(reply.result, response);
      if (replies.size() == 1) break;
      bytes += response.ByteSizeLong();
      if (bytes < kAnswerFrameBytes) continue;
      peer_->send(serialize_message(frame));
      frame.clear_responses();
      bytes = 0;
    }
    if (frame.responses_size() > 0) peer_->send(serialize_message(frame));
    answered(replies.size());
  }

  void group_table_changed(const GroupTablePtr& table) override {
    FrameArena arena;
    auto& frame = arena.make<v1::ServerFrame>();
    to_proto(*table, *frame.mutable_group_table());
    peer_->send(serialize_message(frame));
  }

  void recall(const LeaseRecall& recall) override {
    FrameArena arena;
    auto& frame = arena.make<v1::ServerFrame>();
    to_proto(recall, *frame.mutable_recall());
    peer_->send(serialize_message(frame));
  }

  void end(const Error& why) override {
    v1::ServerFrame frame;
    to_proto(why, *frame.mutable_error());
    peer_->send(serialize_message(frame));
    peer_->close(why);
  }

 private:
  Result<Reading> take_hello(const v1::ClientFrame& frame) {
    if (!frame.has_hello()) return fail(Errc::bad_message, "the first frame is not a hello");
    const v1::Hello& hello = frame.hello();
    if (hello.protocol_version() != kProtocolVersion) {
      end(Error{Errc::wrong_version,
                fmt::format("the client speaks version {} of the protocol, the metadata server "
                            "({}) version {}",
                            hello.protocol_version(), version(), kProtocolVersion)});
      return Reading::pause;
    }
    HelloArgs args{.cluster = hello.cluster(),
                   .session = SessionId{hello.session()},
                   .epoch = Epoch{hello.session_epoch()},
                   .succeeded = Sequence{frame.answered_through()},
                   .changes_told = hello.changes_told(),
                   .program = hello.program(),
                   .host = hello.host(),
                   .place = hello.place(),
                   .process = hello.process(),
                   .held = {},
                   .locks = {},
                   .wants_leases = hello.wants_leases(),
                   .leases = {},
                   .adopts = hello.adopts()};
    args.held.reserve(static_cast<std::size_t>(hello.held_size()));
    for (const std::uint64_t inode : hello.held()) args.held.emplace_back(inode);
    args.locks.reserve(static_cast<std::size_t>(hello.locks_size()));
    for (const v1::HeldLock& message : hello.locks()) {
      const HeldLock lock = TRY(from_proto(message));
      args.locks.push_back(lock);
    }
    TRY(take_claims(hello.read_leases(), args.leases.read));
    TRY(take_claims(hello.write_leases(), args.leases.write));
    // Nothing is read until the welcome has been sent; resume() may come
    // before this returns.
    welcomed_ = true;
    core_.run(make_hello_job(std::move(args), shared_from_this(),
                             [self = shared_from_this()](Result<WelcomeResult> welcome) {
                               self->welcome(std::move(welcome));
                             }));
    return Reading::pause;
  }

  static Result<void> take_claims(const google::protobuf::RepeatedField<std::uint64_t>& from,
                                  std::vector<InodeId>& to) {
    if (static_cast<std::size_t>(from.size()) > kLeasesPerHelloMax)
      return fail(Errc::bad_message, fmt::format("{} leases are claimed; {} are allowed",
                                                 from.size(), kLeasesPerHelloMax));
    to.reserve(static_cast<std::size_t>(from.size()));
    for (const std::uint64_t inode : from) {
      if (inode == 0) return fail(Errc::bad_message, "a lease is claimed on inode 0");
      to.emplace_back(inode);
    }
    return {};
  }

  // In the core, so that nothing else is sent before it.
  void welcome(Result<WelcomeResult> result) {
    if (!result) return end(result.error());
    bool ended = false;
    {
      const std::lock_guard lock(mutex_);
      session_.emplace(result->session, result->epoch);
      ended = ended_;
    }
    if (ended) return core_.run(make_disconnect_job(result->session, result->epoch));

    v1::ServerFrame frame;
    v1::Welcome& message = *frame.mutable_welcome();
    message.set_cluster(result->cluster);
    message.set_session(result->session.value());
    message.set_session_epoch(result->epoch.value());
    message.set_resumed(result->resumed);
    message.set_server_time(result->server_time);
    to_proto(*result->group_table, *message.mutable_group_table());
    message.set_chunk_size(result->chunk_size);
    message.set_session_timeout_ms(static_cast<std::uint64_t>(result->session_timeout.count()));
    message.set_server_version(version());
    message.set_lease_time_ms(static_cast<std::uint64_t>(result->leases.lease_time.count()));
    message.set_lease_order(result->leases.order);
    for (const InodeId inode : result->leases.lost) message.add_lost_leases(inode.value());
    message.set_protocol_version(kProtocolVersion);
    if (result->estate) to_proto(*result->estate, *message.mutable_estate());
    peer_->send(serialize_message(frame));
    peer_->resume();
  }

  Result<Reading> take_requests(v1::ClientFrame& frame) {
    if (frame.has_hello()) return fail(Errc::bad_message, "a second hello on one stream");
    if (static_cast<std::size_t>(frame.requests_size()) > kRequestsPerFrameMax)
      return fail(Errc::bad_message, fmt::format("{} requests in one frame; {} are allowed",
                                                 frame.requests_size(), kRequestsPerFrameMax));
    Submission submission;
    // Set before the first frame with requests was read.
    std::tie(submission.session, submission.epoch) = *session_;
    submission.answered_through = Sequence{frame.answered_through()};
    submission.requests.reserve(static_cast<std::size_t>(frame.requests_size()));
    std::vector<CoreReply> refused;
    for (v1::Request& message : *frame.mutable_requests()) {
      CoreRequest request;
      request.id = message.id();
      request.sequence = Sequence{message.sequence()};
      request.caller = {message.uid(), message.gid()};
      Result<MetaArgs> args = from_proto(std::move(message));
      if (args) {
        request.args = std::move(*args);
        submission.requests.push_back(std::move(request));
      } else if (args.error().code == Errc::bad_message) {
        return fail(std::move(args).error());
      } else {
        refused.push_back({request.id, fail(std::move(args).error())});
      }
    }
    const std::size_t count = submission.requests.size() + refused.size();
    const std::size_t outstanding = outstanding_.fetch_add(count) + count;
    if (!refused.empty()) deliver(std::move(refused));
    if (!submission.requests.empty()) {
      submission.sink = shared_from_this();
      core_.submit(std::move(submission));
    }
    if (frame.goodbye()) {
      core_.run(make_goodbye_job(session_->first, session_->second, [self = shared_from_this()] {
        self->peer_->close({Errc::ok, {}});
      }));
      return Reading::pause;
    }
    if (outstanding < options_.outstanding_max || !still_too_many()) return Reading::go_on;
    paused_.store(true);
    // Answers may have gone out since; whoever sees `paused_` first resumes.
    if (!still_too_many() && paused_.exchange(false)) peer_->resume();
    return Reading::pause;
  }

  bool still_too_many() const { return outstanding_.load() >= options_.outstanding_max; }

  void answered(std::size_t count) {
    outstanding_.fetch_sub(count);
    if (paused_.load() && !still_too_many() && paused_.exchange(false)) peer_->resume();
  }

  Core& core_;
  const std::shared_ptr<StreamPeer> peer_;
  const MetaServiceOptions options_;
  Counter& malformed_;
  bool welcomed_ = false;  // the hello has been handed over; reading side only
  std::atomic<std::size_t> outstanding_{0};
  std::atomic<bool> paused_{false};

  std::mutex mutex_;
  std::optional<std::pair<SessionId, Epoch>> session_;  // set once, by the welcome
  bool ended_ = false;
};

class SessionStream final : public StreamHandler {
 public:
  explicit SessionStream(std::shared_ptr<Connection> connection)
      : connection_(std::move(connection)) {}
  Reading on_message(grpc::ByteBuffer message) override {
    return connection_->on_message(message);
  }
  void on_end() override { connection_->on_end(); }

 private:
  const std::shared_ptr<Connection> connection_;
};

}  // namespace

StreamServer::Factory meta_service(Core& core, MetaServiceOptions options) {
  return [&core, options](std::shared_ptr<StreamPeer> peer) -> std::unique_ptr<StreamHandler> {
    return std::make_unique<SessionStream>(
        std::make_shared<Connection>(core, std::move(peer), options));
  };
}

}  // namespace dfs
