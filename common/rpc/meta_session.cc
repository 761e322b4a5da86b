#include "common/rpc/meta_session.h"

#include <fmt/format.h>

#include <utility>

#include "common/base/address.h"
#include "common/base/log.h"
#include "common/rpc/grpc_meta_session.h"
#include "common/rpc/protocol.h"

namespace dfs {
namespace {

using std::chrono::milliseconds;

// Releases and the like that may wait beside the callers' requests.
constexpr std::size_t kPostedMax = 65'536;
// How long the end of a session waits for the server to take its goodbye.
constexpr milliseconds kGoodbyeTimeout{500};
// Leaves room for what a frame adds.
constexpr std::size_t kRequestBytesMax = kMessageBytesMax / 2;

}  // namespace

// --- callers -------------------------------------------------------------------------

Result<MetaResult> GrpcMetaSession::call(MetaArgs args, const Caller& caller,
                                         Interrupt* interrupt) {
  return await(std::make_shared<PendingRequest>(args, caller), interrupt, nullptr);
}

Result<MetaResult> GrpcMetaSession::call_through(MetaArgs args, const Caller& caller,
                                                 Interrupt* interrupt, LateTaker late) {
  return await(std::make_shared<PendingRequest>(args, caller), interrupt, std::move(late));
}

// `late`: who takes the answer after an interruption; null: nobody.
Result<MetaResult> GrpcMetaSession::await(const PendingRequestPtr& request, Interrupt* interrupt,
                                          LateTaker late) {
  if (request->encoded.size() > kRequestBytesMax)
    return fail(Errc::invalid, fmt::format("a request of {} bytes", request->encoded.size()));

  std::optional<SteadyTime> deadline;
  if (options_.soft_timeout > milliseconds{0})
    deadline = std::chrono::steady_clock::now() + options_.soft_timeout;
  const auto answered = [&] { return request->finished.load(std::memory_order_acquire); };
  WaitEnd end = wait_for_room(deadline, interrupt);
  if (end == WaitEnd::finished)
    end = loop_->wait_until(answered, deadline, interrupt, [&] { send(request); });
  else if (end == WaitEnd::interrupted && late)
    send(request);  // takes its place in the order beyond the limit

  if (end == WaitEnd::interrupted && late) {
    if (leave_for_later(request, late)) return fail(Errc::interrupted);
    end = loop_->wait_until(answered, deadline, nullptr);
  }
  if (end != WaitEnd::finished) {
    if (abandon(request)) {
      if (end == WaitEnd::interrupted) return fail(Errc::interrupted);
      return fail(why_not_answered(Errc::timed_out));
    }
    // The answer is here: somebody is just handing it over.
    loop_->wait_until(answered, std::nullopt, nullptr);
  }
  return request->take_answer();
}

WaitEnd GrpcMetaSession::wait_for_room(std::optional<SteadyTime> deadline, Interrupt* interrupt) {
  if (unanswered_.load(std::memory_order_relaxed) < options_.unanswered_max)
    return WaitEnd::finished;
  return loop_->wait_until(
      [&] { return unanswered_.load() < options_.unanswered_max || over_.load(); }, deadline,
      interrupt);
}

// False if the caller is to wait after all: the answer is here, or too many
// callers have left already.
bool GrpcMetaSession::leave_for_later(const PendingRequestPtr& request, LateTaker& late) {
  const std::lock_guard lock(mutex_);
  if (!pending_.holds(*request) || !late_.expect()) return false;
  request->late = std::move(late);
  return true;
}

// False if the answer is here.
bool GrpcMetaSession::abandon(const PendingRequestPtr& request) {
  const std::lock_guard lock(mutex_);
  const bool was_added = request->id != 0 || request->finished.load(std::memory_order_acquire);
  if (!was_added) return true;
  if (!pending_.holds(*request)) return false;
  pending_.abandon(request);
  unanswered_.store(pending_.size());
  return true;
}

Result<void> GrpcMetaSession::call_later(MetaArgs args, const Caller& caller, LateTaker done) {
  const auto request = std::make_shared<PendingRequest>(args, caller);
  if (request->encoded.size() > kRequestBytesMax)
    return fail(Errc::invalid, fmt::format("a request of {} bytes", request->encoded.size()));
  std::shared_ptr<StreamClient> stream;
  {
    const std::lock_guard lock(mutex_);
    if (auto why = why_not_added_locked(*request)) return fail(*why);
    if (!late_.expect())
      return fail(Errc::no_memory, "too many answers of the metadata server are to come");
    request->late = std::move(done);
    stream = submit_locked(request);
  }
  if (stream != nullptr) stream->poke();
  return {};
}

void GrpcMetaSession::post(MetaArgs args) {
  const auto request = std::make_shared<PendingRequest>(args, Caller{});
  request->posted = true;
  if (unanswered_.load(std::memory_order_relaxed) >= options_.unanswered_max + kPostedMax) {
    log_warn("rpc", "too many requests wait for the metadata server at {}; one is dropped",
             options_.address);
    return;
  }
  send(request);
}

void GrpcMetaSession::send(const PendingRequestPtr& request) {
  if (const auto stream = submit(request)) stream->poke();
}

// The stream to poke, if there is one that takes requests.
std::shared_ptr<StreamClient> GrpcMetaSession::submit(const PendingRequestPtr& request) {
  const std::lock_guard lock(mutex_);
  if (auto why = why_not_added_locked(*request)) {
    request->failure = *why;
    request->finished.store(true, std::memory_order_release);
    return nullptr;
  }
  return submit_locked(request);
}

std::optional<Error> GrpcMetaSession::why_not_added_locked(const PendingRequest& request) const {
  if (ended_) return ended_;
  if (request.suits(session_)) return std::nullopt;
  return Error{Errc::session_lost, "it was to happen under a session that is over"};
}

std::shared_ptr<StreamClient> GrpcMetaSession::submit_locked(const PendingRequestPtr& request) {
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

void GrpcMetaSession::set_locks(std::function<std::vector<HeldLock>()> locks) {
  const std::lock_guard lock(mutex_);
  options_.locks = std::move(locks);
}

void GrpcMetaSession::set_unsent(std::function<UnsentBytes()> unsent) {
  const std::lock_guard lock(mutex_);
  options_.unsent = std::move(unsent);
}

void GrpcMetaSession::set_lease_hooks(LeaseHooks hooks) {
  std::atomic<bool> started{false};
  const auto start = [&] {
    {
      const std::lock_guard lock(mutex_);
      leases_ = hooks;
    }
    start_leases();
    started.store(true);
  };
  // Where nothing else that the hooks are told comes in between.
  loop_->wait_until([&] { return started.load(); }, std::nullopt, nullptr,
                    [&] { loop_->run_soon(start); });
}

void GrpcMetaSession::set_on_new_session(std::function<void(SessionId)> hook) {
  const std::lock_guard lock(mutex_);
  options_.on_new_session = std::move(hook);
}

// Goes on with the session that the record tells of, if it does.
void GrpcMetaSession::take_over_record() {
  pending_.remember_in(options_.record, options_.operations);
  if (options_.record == nullptr || options_.record->session == 0) return;
  session_ = SessionId{options_.record->session};
  session_epoch_ = Epoch{options_.record->epoch};
  adopting_ = true;
}

// The session is stored last: without it the rest says nothing.
void GrpcMetaSession::remember_locked() {
  SessionMemo* const record = options_.record;
  if (record == nullptr) return;
  if (record->session != session_.value()) {
    record->session = 0;
    record->last_sequence = 0;
  }
  record->epoch = session_epoch_.value();
  std::atomic_signal_fence(std::memory_order_seq_cst);
  record->session = session_.value();
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

void GrpcMetaSession::close() {
  const auto quiet = [this] { return quiet_.load(); };
  if (!quiet()) {
    const SteadyTime deadline = std::chrono::steady_clock::now() + kGoodbyeTimeout;
    loop_->wait_until(quiet, deadline, nullptr,
                      [this] { loop_->run_soon([this] { say_goodbye(); }); });
  }
  if (!quiet()) {
    // Waited for too: it must not come when there is no session any more.
    std::atomic<bool> hung_up{false};
    const auto cancel = [&] {
      hang_up();
      hung_up.store(true);
    };
    loop_->wait_until([&] { return hung_up.load() && quiet(); }, std::nullopt, nullptr,
                      [&] { loop_->run_soon(cancel); });
  }
  late_.stop();
}

void GrpcMetaSession::say_goodbye() {
  loop_->detach(*this);
  closing_ = true;
  std::shared_ptr<StreamClient> stream;
  {
    const std::lock_guard lock(mutex_);
    if (link_ == Link::up) {
      goodbye_ = Goodbye::due;
      stream = stream_;
    }
  }
  if (stream == nullptr) return hang_up();
  stream->poke();
}

void GrpcMetaSession::hang_up() {
  std::shared_ptr<StreamClient> stream;
  {
    const std::lock_guard lock(mutex_);
    stream = stream_;
  }
  if (stream == nullptr) return settle_the_rest();
  stream->cancel();
}

// No stream stands and none will.
void GrpcMetaSession::settle_the_rest() {
  std::vector<PendingRequestPtr> all;
  {
    const std::lock_guard lock(mutex_);
    if (!ended_) ended_ = Error{Errc::session_lost, "the session has been closed"};
    all = pending_.take_all();
    unanswered_.store(0);
  }
  fail_all(all, {Errc::session_lost, "the session was closed before the metadata server answered; "
                                     "whether the operation happened is unknown"});
  over_.store(true);
  quiet_.store(true);
}

Result<std::unique_ptr<MetaSession>> MetaSession::connect(Options options, Clock& clock) {
  TRY(parse_address(options.address));
  auto session = std::make_unique<GrpcMetaSession>(std::move(options), clock);
  TRY(session->open());
  return session;
}

}  // namespace dfs
