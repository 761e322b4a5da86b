// The life of a session: link_ goes down -> greeting -> up and back, on the
// completion loop only. What callers share with it is under mutex_.
#include "common/rpc/meta_session.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <utility>

#include "common/base/address.h"
#include "common/base/log.h"
#include "common/base/process.h"
#include "common/rpc/channels.h"
#include "common/rpc/completion_loop.h"
#include "common/rpc/convert.h"
#include "common/rpc/frame.h"
#include "common/rpc/pending_requests.h"
#include "common/rpc/protocol.h"
#include "common/rpc/stream_client.h"

namespace dfs {
namespace {

using std::chrono::milliseconds;

constexpr const char* kMethod = "/dfs.v1.MetaService/Session";
constexpr milliseconds kPauseLeast{50};
constexpr milliseconds kPauseMost{1'000};
// A server that takes a connection and does not welcome us within this is
// taken for one that does not answer.
constexpr milliseconds kGreetingTimeout{5'000};
// Releases and the like that may wait beside the callers' requests.
constexpr std::size_t kPostedMax = 65'536;
// Leaves room for what a frame adds.
constexpr std::size_t kRequestBytesMax = kMessageBytesMax / 2;

bool is_final(Errc code) {
  return code == Errc::wrong_version || code == Errc::wrong_cluster || code == Errc::bad_message;
}

class GrpcMetaSession final : public MetaSession, private StreamUser, private Ticker {
 public:
  GrpcMetaSession(Options options, Clock& clock)
      : options_(std::move(options)),
        clock_(clock),
        loop_(CompletionLoop::shared()),
        group_table_(std::make_shared<const GroupTable>()) {}
  ~GrpcMetaSession() override;

  Result<void> open();

  Result<MetaResult> call(MetaArgs args, const Caller& caller, Interrupt* interrupt) override;
  void post(MetaArgs args) override;
  GroupTablePtr group_table() const override;
  std::uint32_t default_chunk_size() const override;
  SessionId session() const override;
  const std::string& cluster() const override { return cluster_; }
  bool connected() const override;
  void set_held(std::function<std::vector<InodeId>()> held) override;
  void set_on_new_session(std::function<void(SessionId)> hook) override;

 private:
  enum class Link { down, greeting, up };

  // StreamUser and Ticker.
  bool next_message(grpc::ByteBuffer& message) override;
  void on_message(grpc::ByteBuffer message) override;
  void on_end(Error why) override;
  void on_tick(SteadyTime now) override;

  // On the loop.
  void dial();
  grpc::ByteBuffer make_hello();
  void take_welcome(v1::Welcome&& welcome);
  void take_error(const v1::Error& error);
  void take_response(v1::Response&& response);
  void take_group_table(const v1::GroupTable& message);
  void break_off(Error why);
  void end_for_good(Error why);

  std::shared_ptr<StreamClient> submit(const PendingRequestPtr& request);
  Error why_not_answered(Errc code) const;
  static void fail_all(const std::vector<PendingRequestPtr>& requests, const Error& why);
  void finish_posted(const PendingRequest& request);

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
  bool hello_due_ = false;

  // The loop's.
  bool closing_ = false;
  bool failure_is_known_ = false;  // break_off() said why; the stream's end adds nothing
  grpc::ByteBuffer hello_;
  milliseconds pause_ = kPauseLeast;
  SteadyTime next_dial_{};
  SteadyTime greeting_deadline_{};
  v1::ServerFrame frame_;

  // What waits look at.
  std::atomic<std::size_t> unanswered_{0};
  std::atomic<bool> welcomed_{false};
  std::atomic<bool> over_{false};
  std::atomic<std::size_t> failed_attempts_{0};
  std::atomic<bool> quiet_{false};
};

// --- callers -------------------------------------------------------------------------

Result<MetaResult> GrpcMetaSession::call(MetaArgs args, const Caller& caller,
                                         Interrupt* interrupt) {
  const auto request = std::make_shared<PendingRequest>(args, caller);
  if (request->encoded.size() > kRequestBytesMax)
    return fail(Errc::invalid, fmt::format("a request of {} bytes", request->encoded.size()));

  std::optional<SteadyTime> deadline;
  if (options_.soft_timeout > milliseconds{0})
    deadline = std::chrono::steady_clock::now() + options_.soft_timeout;
  WaitEnd end = WaitEnd::finished;
  if (unanswered_.load(std::memory_order_relaxed) >= options_.unanswered_max)
    end = loop_->wait_until(
        [&] { return unanswered_.load() < options_.unanswered_max || over_.load(); }, deadline,
        interrupt);
  if (end == WaitEnd::finished)
    end = loop_->wait_until([&] { return request->finished.load(std::memory_order_acquire); },
                            deadline, interrupt, [&] {
                              if (const auto stream = submit(request)) stream->poke();
                            });
  if (end != WaitEnd::finished) {
    const std::lock_guard lock(mutex_);
    if (request->id != 0 && !request->finished.load(std::memory_order_acquire)) {
      pending_.abandon(request);
      unanswered_.store(pending_.size());
    } else if (request->id != 0) {
      end = WaitEnd::finished;
    }
  }
  if (end == WaitEnd::interrupted) return fail(Errc::interrupted);
  if (end == WaitEnd::timed_out) return fail(why_not_answered(Errc::timed_out));
  if (request->failure) return fail(std::move(*request->failure));
  return from_proto(std::move(request->response));
}

void GrpcMetaSession::post(MetaArgs args) {
  const auto request = std::make_shared<PendingRequest>(args, Caller{});
  request->posted = true;
  if (unanswered_.load(std::memory_order_relaxed) >= options_.unanswered_max + kPostedMax) {
    log_warn("rpc", "too many requests wait for the metadata server at {}; one is dropped",
             options_.address);
    return;
  }
  if (const auto stream = submit(request)) stream->poke();
}

// The stream to poke, if there is one that takes requests.
std::shared_ptr<StreamClient> GrpcMetaSession::submit(const PendingRequestPtr& request) {
  const std::lock_guard lock(mutex_);
  if (ended_) {
    request->failure = *ended_;
    request->finished.store(true, std::memory_order_release);
    return nullptr;
  }
  pending_.add(request);
  unanswered_.store(pending_.size(), std::memory_order_relaxed);
  return link_ == Link::up ? stream_ : nullptr;
}

Error GrpcMetaSession::why_not_answered(Errc code) const {
  const std::lock_guard lock(mutex_);
  if (link_ == Link::up)
    return {code,
            fmt::format("the metadata server at {} does not answer in time", options_.address)};
  return {code, fmt::format("no metadata server answers at {}: {}", options_.address,
                            last_failure_.text)};
}

GroupTablePtr GrpcMetaSession::group_table() const {
  const std::lock_guard lock(mutex_);
  return group_table_;
}

std::uint32_t GrpcMetaSession::default_chunk_size() const {
  const std::lock_guard lock(mutex_);
  return chunk_size_;
}

SessionId GrpcMetaSession::session() const {
  const std::lock_guard lock(mutex_);
  return session_;
}

bool GrpcMetaSession::connected() const {
  const std::lock_guard lock(mutex_);
  return link_ == Link::up;
}

void GrpcMetaSession::set_held(std::function<std::vector<InodeId>()> held) {
  const std::lock_guard lock(mutex_);
  options_.held = std::move(held);
}

void GrpcMetaSession::set_on_new_session(std::function<void(SessionId)> hook) {
  const std::lock_guard lock(mutex_);
  options_.on_new_session = std::move(hook);
}

// --- opening and closing -------------------------------------------------------------

Result<void> GrpcMetaSession::open() {
  const bool one_attempt = options_.connect_timeout <= milliseconds{0};
  std::optional<SteadyTime> deadline;
  if (!one_attempt) deadline = std::chrono::steady_clock::now() + options_.connect_timeout;
  loop_->wait_until(
      [&] {
        return welcomed_.load() || over_.load() || (one_attempt && failed_attempts_.load() > 0);
      },
      deadline, nullptr, [&] {
        loop_->run_soon([this] {
          loop_->attach(*this);
          dial();
        });
      });
  if (welcomed_.load()) return {};
  if (const std::lock_guard lock(mutex_); ended_) return fail(*ended_);
  return fail(why_not_answered(Errc::unavailable));
}

GrpcMetaSession::~GrpcMetaSession() {
  const auto close = [this] {
    loop_->detach(*this);
    std::shared_ptr<StreamClient> stream;
    {
      const std::lock_guard lock(mutex_);
      stream = stream_;
    }
    closing_ = true;
    if (stream == nullptr)
      quiet_.store(true);
    else
      stream->cancel();
  };
  loop_->wait_until([this] { return quiet_.load(); }, std::nullopt, nullptr,
                    [&] { loop_->run_soon(close); });
}

// --- connecting ----------------------------------------------------------------------

void GrpcMetaSession::dial() {
  hello_ = make_hello();
  failure_is_known_ = false;
  greeting_deadline_ = clock_.now() + kGreetingTimeout;
  const std::lock_guard lock(mutex_);
  link_ = Link::greeting;
  hello_due_ = true;
  stream_ = StreamClient::open(loop_, make_channel(dial_target(options_.address)), kMethod, *this);
}

grpc::ByteBuffer GrpcMetaSession::make_hello() {
  v1::ClientFrame frame;
  v1::Hello& hello = *frame.mutable_hello();
  hello.set_protocol_version(kProtocolVersion);
  hello.set_cluster(cluster_.empty() ? options_.cluster : cluster_);
  hello.set_program(options_.program);
  hello.set_host(options_.host.empty() ? host_name() : options_.host);
  hello.set_place(options_.place);
  hello.set_process(static_cast<std::uint64_t>(::getpid()));
  std::function<std::vector<InodeId>()> held;
  {
    const std::lock_guard lock(mutex_);
    hello.set_session(session_.value());
    hello.set_session_epoch(session_epoch_.value());
    if (session_ != SessionId{} && options_.held) {
      held = options_.held;
      pending_.mark_releases_stale();
    }
  }
  if (held)
    for (const InodeId inode : held()) hello.add_held(inode.value());
  return serialize_message(frame);
}

bool GrpcMetaSession::next_message(grpc::ByteBuffer& message) {
  const std::lock_guard lock(mutex_);
  if (link_ == Link::greeting && hello_due_) {
    hello_due_ = false;
    message = hello_;
    return true;
  }
  if (link_ != Link::up || !pending_.next_frame(message)) return false;
  last_sent_ = clock_.now();
  return true;
}

void GrpcMetaSession::on_tick(SteadyTime) {
  const SteadyTime now = clock_.now();
  std::unique_lock lock(mutex_);
  if (ended_) return;
  const Link link = link_;
  const bool silent = now - last_sent_ >= options_.keep_alive_interval;
  if (silent) last_sent_ = now;
  lock.unlock();
  if (link == Link::down && now >= next_dial_) dial();
  if (link == Link::greeting && now >= greeting_deadline_)
    break_off({Errc::timed_out, "the connection stands, but no answer comes"});
  if (link == Link::up && silent) post(KeepAliveArgs{});
}

// Ends the stream, remembering why; on_end() follows.
void GrpcMetaSession::break_off(Error why) {
  std::shared_ptr<StreamClient> stream;
  {
    const std::lock_guard lock(mutex_);
    last_failure_ = std::move(why);
    stream = stream_;
  }
  failure_is_known_ = true;
  if (stream != nullptr) stream->cancel();
}

void GrpcMetaSession::on_end(Error why) {
  if (is_final(why.code) && !failure_is_known_)
    end_for_good({why.code, fmt::format("the metadata server at {} refuses: {}", options_.address,
                                        why.text)});
  bool was_up = false;
  Error reason;
  {
    const std::lock_guard lock(mutex_);
    was_up = link_ == Link::up;
    link_ = Link::down;
    stream_.reset();
    if (!failure_is_known_) last_failure_ = std::move(why);
    reason = last_failure_;
  }
  next_dial_ = clock_.now() + pause_;
  pause_ = std::min(pause_ * 2, kPauseMost);
  failed_attempts_.fetch_add(1);
  if (was_up && !closing_)
    log_warn("rpc", "lost the metadata server at {}, trying again: {}", options_.address,
             reason.to_string());
  if (closing_) quiet_.store(true);
}

void GrpcMetaSession::end_for_good(Error why) {
  std::vector<PendingRequestPtr> all;
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return;
    ended_ = why;
    all = pending_.take_all();
    unanswered_.store(0);
  }
  log_error("rpc", "the session has ended: {}", why.to_string());
  fail_all(all, why);
  over_.store(true);
}

// --- what the server says ------------------------------------------------------------

void GrpcMetaSession::on_message(grpc::ByteBuffer message) {
  frame_.Clear();
  if (const auto parsed = parse_message(message, frame_); !parsed) return break_off(parsed.error());
  if (frame_.has_error()) return take_error(frame_.error());
  if (frame_.has_welcome()) take_welcome(std::move(*frame_.mutable_welcome()));
  for (v1::Response& response : *frame_.mutable_responses()) take_response(std::move(response));
  if (frame_.has_group_table()) take_group_table(frame_.group_table());
}

void GrpcMetaSession::take_error(const v1::Error& message) {
  Error error = from_proto(message);
  if (is_final(error.code))
    end_for_good({error.code, fmt::format("the metadata server at {} refuses: {}",
                                          options_.address, error.text)});
  break_off(std::move(error));
}

void GrpcMetaSession::take_welcome(v1::Welcome&& welcome) {
  const std::string& expected = cluster_.empty() ? options_.cluster : cluster_;
  if (welcome.cluster().empty() || welcome.session() == 0 ||
      (welcome.chunk_size() == 0 || welcome.chunk_size() > kChunkSizeMax))
    return break_off({Errc::bad_message, "the welcome lacks the cluster, session or chunk size"});
  if (!expected.empty() && welcome.cluster() != expected) {
    Error error{Errc::wrong_cluster,
                fmt::format("the metadata server at {} belongs to cluster {}, not to {}",
                            options_.address, welcome.cluster(), expected)};
    end_for_good(error);
    return break_off(std::move(error));
  }
  if (welcome.has_group_table()) take_group_table(welcome.group_table());

  PendingRequests::Restart restart;
  std::function<void(SessionId)> on_new_session;
  std::shared_ptr<StreamClient> stream;
  const SessionId session{welcome.session()};
  {
    const std::lock_guard lock(mutex_);
    if (link_ != Link::greeting) return;
    if (cluster_.empty()) cluster_ = std::move(*welcome.mutable_cluster());
    const bool had_session = session_ != SessionId{};
    if (had_session && welcome.resumed() && session == session_) {
      restart.stale = pending_.resume();
    } else {
      restart = pending_.restart();
      if (had_session) on_new_session = options_.on_new_session;
    }
    unanswered_.store(pending_.size());
    session_ = session;
    session_epoch_ = Epoch{welcome.session_epoch()};
    chunk_size_ = welcome.chunk_size();
    link_ = Link::up;
    last_sent_ = clock_.now();
    stream = stream_;
  }
  pause_ = kPauseLeast;
  fail_all(restart.in_doubt, {Errc::session_lost, "the metadata server forgot this session; "
                                                  "whether the operation happened is unknown"});
  for (const PendingRequestPtr& request : restart.stale) {
    request->response.mutable_empty();
    request->finished.store(true, std::memory_order_release);
  }
  log_debug("rpc", "session {} with the metadata server at {}", session.value(), options_.address);
  if (on_new_session) on_new_session(session);
  welcomed_.store(true);
  stream->poke();
}

void GrpcMetaSession::take_response(v1::Response&& response) {
  PendingRequestPtr request;
  {
    const std::lock_guard lock(mutex_);
    request = pending_.take(response.id());
    unanswered_.store(pending_.size(), std::memory_order_relaxed);
  }
  if (request == nullptr) {
    log_warn("rpc", "the metadata server at {} answers a request that was not made",
             options_.address);
    return;
  }
  request->response.Swap(&response);
  if (request->posted || request->abandoned) finish_posted(*request);
  request->finished.store(true, std::memory_order_release);
}

// Nobody waits for this answer.
void GrpcMetaSession::finish_posted(const PendingRequest& request) {
  v1::Response response = request.response;
  const Result<MetaResult> result = from_proto(std::move(response));
  if (!result && request.posted)
    log_debug("rpc", "a request that nobody waits for failed: {}", result.error().to_string());
  if (!result || !request.opens) return;
  const auto* opened = std::get_if<OpenResult>(&*result);
  if (opened != nullptr) post(ReleaseArgs{opened->attributes.inode, 1});
}

void GrpcMetaSession::take_group_table(const v1::GroupTable& message) {
  Result<GroupTable> table = from_proto(message);
  if (!table) {
    log_error("rpc", "the metadata server at {} sends a broken group table: {}", options_.address,
              table.error().to_string());
    return;
  }
  auto snapshot = std::make_shared<const GroupTable>(std::move(*table));
  {
    const std::lock_guard lock(mutex_);
    if (snapshot->version < group_table_->version) return;
    group_table_ = snapshot;
  }
  if (options_.on_group_table) options_.on_group_table(snapshot);
}

void GrpcMetaSession::fail_all(const std::vector<PendingRequestPtr>& requests, const Error& why) {
  for (const PendingRequestPtr& request : requests) {
    request->failure = why;
    request->finished.store(true, std::memory_order_release);
  }
}

}  // namespace

Result<std::unique_ptr<MetaSession>> MetaSession::connect(Options options, Clock& clock) {
  TRY(parse_address(options.address));
  auto session = std::make_unique<GrpcMetaSession>(std::move(options), clock);
  TRY(session->open());
  return session;
}

}  // namespace dfs
