#include "tests/sim/session.h"

#include <chrono>
#include <utility>

#include "common/client/wait.h"
#include "common/rpc/convert.h"
#include "common/rpc/frame.h"
#include "common/rpc/protocol.h"

namespace dfs::sim {
namespace {

constexpr std::chrono::milliseconds kKeepAliveInterval{600};
constexpr std::size_t kLateMax = 1'024;

}  // namespace

Session::Session(const Clock& clock, std::string place, Leases leases)
    : clock_(clock), place_(std::move(place)), leases_(leases), late_(kLateMax) {}

// --- callers -------------------------------------------------------------------------

Result<MetaResult> Session::call(MetaArgs args, const Caller& caller, Interrupt* interrupt) {
  return await(std::make_shared<PendingRequest>(args, caller), interrupt, nullptr);
}

Result<MetaResult> Session::call_through(MetaArgs args, const Caller& caller, Interrupt* interrupt,
                                         LateTaker late) {
  return await(std::make_shared<PendingRequest>(args, caller), interrupt, std::move(late));
}

Result<MetaResult> Session::await(const PendingRequestPtr& request, Interrupt* interrupt, LateTaker late) {
  std::unique_lock lock(mutex_);
  TRY(add_locked(request));
  const auto answered = [&] { return request->finished.load(std::memory_order_acquire); };
  const Wake wake = wait_until(lock, answered_, {clock_, interrupt, std::nullopt}, answered);
  if (wake == Wake::interrupted && late && late_.expect()) {
    request->late = std::move(late);
    return fail(Errc::interrupted);
  }
  if (wake == Wake::interrupted && !late) {
    pending_.abandon(request);
    return fail(Errc::interrupted);
  }
  if (wake == Wake::interrupted) answered_.wait(lock, answered);
  lock.unlock();
  return request->take_answer();
}

Result<void> Session::add_locked(const PendingRequestPtr& request) {
  if (ended_) return fail(*ended_);
  if (!request->suits(session_)) return fail(Errc::session_lost, "it was to happen under a session that is over");
  pending_.add(request);
  has_messages_ = true;
  return {};
}

Result<void> Session::call_later(MetaArgs args, const Caller& caller, LateTaker done) {
  const auto request = std::make_shared<PendingRequest>(args, caller);
  const std::lock_guard lock(mutex_);
  if (ended_) return fail(*ended_);
  if (!late_.expect()) return fail(Errc::no_memory, "too many answers are to come");
  request->late = std::move(done);
  return add_locked(request);
}

void Session::post(MetaArgs args) {
  const auto request = std::make_shared<PendingRequest>(args, Caller{});
  request->posted = true;
  const std::lock_guard lock(mutex_);
  static_cast<void>(add_locked(request));
}

GroupTablePtr Session::group_table() const {
  const std::lock_guard lock(mutex_);
  return group_table_;
}

std::uint32_t Session::default_chunk_size() const {
  const std::lock_guard lock(mutex_);
  return chunk_size_;
}

SessionId Session::session() const {
  const std::lock_guard lock(mutex_);
  return session_;
}

void Session::set_hooks(SessionHooks hooks) {
  LeaseTerms terms;
  SteadyTime asked;
  {
    const std::lock_guard lock(mutex_);
    hooks_ = hooks;
    terms = terms_;
    asked = welcomed_at_;
  }
  if (!hooks.leases.welcomed) return;
  hooks.leases.welcomed(terms);
  hooks.leases.confirmed(asked);
}

// --- the connection ------------------------------------------------------------------

grpc::ByteBuffer Session::dial() {
  SessionHooks hooks;
  Known known;
  dialed_at_ = clock_.now();
  {
    const std::lock_guard lock(mutex_);
    link_ = Link::greeting;
    hooks = hooks_;
    known = {session_, epoch_, pending_.largest_succeeded(), pending_.changes_told()};
    if (known.session != SessionId{} && hooks.held) pending_.mark_releases_stale();
  }
  return make_hello(hooks, known);
}

grpc::ByteBuffer Session::make_hello(const SessionHooks& hooks, const Known& known) const {
  v1::ClientFrame frame;
  frame.set_answered_through(known.succeeded);
  v1::Hello& hello = *frame.mutable_hello();
  hello.set_protocol_version(kProtocolVersion);
  hello.set_program("dfs-sim");
  hello.set_place(place_);
  hello.set_wants_leases(leases_ == Leases::wanted);
  hello.set_session(known.session.value());
  hello.set_session_epoch(known.epoch.value());
  hello.set_changes_told(known.changes_told);
  if (known.session == SessionId{}) return serialize_message(frame);
  if (hooks.held)
    for (const InodeId inode : hooks.held()) hello.add_held(inode.value());
  if (hooks.locks)
    for (const HeldLock& lock : hooks.locks()) to_proto(lock, *hello.add_locks());
  if (hooks.leases.claims) {
    const LeaseClaims claimed = hooks.leases.claims();
    for (const InodeId inode : claimed.read) hello.add_read_leases(inode.value());
    for (const InodeId inode : claimed.write) hello.add_write_leases(inode.value());
  }
  return serialize_message(frame);
}

bool Session::next_message(grpc::ByteBuffer& message) {
  const std::lock_guard lock(mutex_);
  has_messages_ = false;
  return link_ == Link::up && pending_.next_frame(message);
}

bool Session::has_message() const {
  const std::lock_guard lock(mutex_);
  return link_ == Link::up && has_messages_;
}

bool Session::is_down() const {
  const std::lock_guard lock(mutex_);
  return link_ == Link::down;
}

bool Session::is_up() const {
  const std::lock_guard lock(mutex_);
  return link_ == Link::up;
}

std::size_t Session::times_replaced() const {
  const std::lock_guard lock(mutex_);
  return times_replaced_;
}

void Session::lost() {
  const std::lock_guard lock(mutex_);
  link_ = Link::down;
}

// One keep-alive at a time, whose answer counts.
void Session::tick() {
  const SteadyTime now = clock_.now();
  if (!is_up() || probe_unanswered_ || now - last_probe_ < kKeepAliveInterval) return;
  probe_unanswered_ = true;
  last_probe_ = now;
  const auto request = std::make_shared<PendingRequest>(KeepAliveArgs{}, Caller{});
  request->posted = true;
  request->probes_at = now;
  const std::lock_guard lock(mutex_);
  static_cast<void>(add_locked(request));
}

// --- what the server says --------------------------------------------------------------

bool Session::take(const grpc::ByteBuffer& message) {
  v1::ServerFrame frame;
  const auto parsed = parse_message(message, frame);
  invariant(parsed.has_value(), "the server sends what can be read");
  if (frame.has_error()) return false;
  if (frame.has_welcome() && !take_welcome(std::move(*frame.mutable_welcome()))) return false;
  if (frame.has_recall()) {
    const Result<LeaseRecall> recall = from_proto(frame.recall());
    invariant(recall.has_value(), "a recall that the server sends can be read");
    if (hooks_.leases.recalled) hooks_.leases.recalled(*recall);
  }
  for (v1::Response& response : *frame.mutable_responses()) take_response(std::move(response));
  if (frame.has_group_table()) take_group_table(frame.group_table());
  return true;
}

bool Session::take_welcome(v1::Welcome&& welcome) {
  if (welcome.has_group_table()) take_group_table(welcome.group_table());
  PendingRequests::Restart restart;
  LeaseTerms terms;
  terms.order = welcome.lease_order();
  terms.lease_time = std::chrono::milliseconds(welcome.lease_time_ms());
  for (const std::uint64_t inode : welcome.lost_leases()) terms.lost.emplace_back(inode);
  const SessionId session{welcome.session()};
  const bool had_session = session_ != SessionId{};
  const bool is_resumed = had_session && welcome.resumed() && session == session_;
  const bool is_replaced = had_session && !is_resumed;
  if (is_replaced && hooks_.on_new_session) hooks_.on_new_session();
  {
    const std::lock_guard lock(mutex_);
    if (is_resumed) restart.stale = pending_.resume();
    else restart = pending_.restart();
    session_ = session;
    epoch_ = Epoch{welcome.session_epoch()};
    chunk_size_ = welcome.chunk_size();
    link_ = Link::up;
    has_messages_ = true;
    terms_ = terms;
    welcomed_at_ = dialed_at_;
    if (is_replaced) ++times_replaced_;
  }
  fail_all(restart.in_doubt, {Errc::session_lost, "the server forgot this session; whether the operation "
                                                  "happened is unknown"});
  for (const PendingRequestPtr& request : restart.stale) {
    request->response.mutable_empty();
    settle(request);
  }
  probe_unanswered_ = false;
  if (hooks_.leases.welcomed) {
    hooks_.leases.welcomed(terms);
    hooks_.leases.confirmed(dialed_at_);
  }
  return true;
}

void Session::take_response(v1::Response&& response) {
  PendingRequestPtr request;
  {
    const std::lock_guard lock(mutex_);
    request = pending_.take(response.id());
    if (request != nullptr && !response.has_error()) pending_.succeeded(*request, response.change());
  }
  invariant(request != nullptr, "the server answers what was asked, once");
  if (request->probes_at) {
    probe_unanswered_ = false;
    if (hooks_.leases.confirmed) hooks_.leases.confirmed(*request->probes_at);
  }
  request->response.Swap(&response);
  if (request->posted || request->abandoned) finish_unattended(*request);
  settle(request);
}

// As after an open whose caller has gone.
void Session::finish_unattended(const PendingRequest& request) {
  v1::Response response = request.response;
  const Result<MetaResult> result = from_proto(std::move(response));
  if (!result || !request.opens) return;
  if (const auto* opened = std::get_if<OpenResult>(&*result)) post(ReleaseArgs{opened->attributes.inode, 1});
}

void Session::take_group_table(const v1::GroupTable& message) {
  Result<GroupTable> table = from_proto(message);
  invariant(table.has_value(), "a group table that the server sends can be read");
  auto snapshot = std::make_shared<const GroupTable>(*std::move(table));
  const std::lock_guard lock(mutex_);
  if (snapshot->version >= group_table_->version) group_table_ = std::move(snapshot);
}

void Session::settle(const PendingRequestPtr& request) {
  const std::lock_guard lock(mutex_);
  settle_locked(request);
}

void Session::settle_locked(const PendingRequestPtr& request) {
  request->finished.store(true, std::memory_order_release);
  if (request->late != nullptr) late_.hand_over(request);
  answered_.notify_all();
}

void Session::fail_all(const std::vector<PendingRequestPtr>& requests, const Error& why) {
  const std::lock_guard lock(mutex_);
  for (const PendingRequestPtr& request : requests) {
    request->failure = why;
    settle_locked(request);
  }
}

void Session::end() {
  std::vector<PendingRequestPtr> all;
  {
    const std::lock_guard lock(mutex_);
    if (!ended_) ended_ = Error{Errc::session_lost, "the session has been closed"};
    link_ = Link::down;
    all = pending_.take_all();
  }
  fail_all(all, {Errc::session_lost, "the session was closed"});
  late_.stop();
}

}  // namespace dfs::sim
