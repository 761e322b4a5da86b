// The connection of a session: greeting, frames both ways, and going on after
// a loss.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "common/base/log.h"
#include "common/base/process.h"
#include "common/rpc/channels.h"
#include "common/rpc/convert.h"
#include "common/rpc/frame.h"
#include "common/rpc/grpc_meta_session.h"
#include "common/rpc/protocol.h"

namespace dfs {
namespace {

using std::chrono::milliseconds;

constexpr const char* kMethod = "/dfs.v1.MetaService/Session";
// A server that takes a connection and does not welcome us within this is
// taken for one that does not answer.
constexpr milliseconds kGreetingTimeout{5'000};

bool is_final(Errc code) {
  return code == Errc::wrong_version || code == Errc::wrong_cluster || code == Errc::bad_message;
}

}  // namespace

// --- connecting ----------------------------------------------------------------------

void GrpcMetaSession::dial() {
  hello_ = make_hello();
  failure_is_known_ = false;
  dialed_at_ = clock_.now();
  greeting_deadline_ = dialed_at_ + kGreetingTimeout;
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
  hello.set_wants_leases(options_.wants_leases);
  std::function<LeaseClaims()> claims;
  std::function<std::vector<InodeId>()> held;
  std::function<std::vector<HeldLock>()> locks;
  std::function<SessionEstate()> remembered;
  {
    const std::lock_guard lock(mutex_);
    hello.set_session(session_.value());
    hello.set_session_epoch(session_epoch_.value());
    frame.set_answered_through(pending_.largest_succeeded());
    hello.set_changes_told(pending_.changes_told());
    if (session_ != SessionId{} && options_.held) {
      held = options_.held;
      pending_.mark_releases_stale();
    }
    hello.set_adopts(adopting_);
    if (adopting_) remembered = options_.remembered;
    if (session_ != SessionId{} && !adopting_) {
      locks = options_.locks;
      claims = leases_.claims;
    }
  }
  if (held)
    for (const InodeId inode : held()) hello.add_held(inode.value());
  const SessionEstate former = remembered ? remembered() : SessionEstate{};
  for (const HeldLock& lock : locks ? locks() : former.locks) to_proto(lock, *hello.add_locks());
  const LeaseClaims claimed = claims ? claims() : former.leases;
  for (const InodeId inode : claimed.read) hello.add_read_leases(inode.value());
  for (const InodeId inode : claimed.write) hello.add_write_leases(inode.value());
  return serialize_message(frame);
}

bool GrpcMetaSession::next_message(grpc::ByteBuffer& message) {
  const std::lock_guard lock(mutex_);
  if (link_ == Link::greeting && hello_due_) {
    hello_due_ = false;
    message = hello_;
    return true;
  }
  if (link_ != Link::up || goodbye_ == Goodbye::said) return false;
  if (!pending_.next_frame(message)) {
    if (goodbye_ != Goodbye::due) return false;
    goodbye_ = Goodbye::said;
    v1::ClientFrame last;
    last.set_goodbye(true);
    message = serialize_message(last);
  }
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
  if (link != Link::up) return;
  if (options_.wants_leases) return probe(now);
  if (silent) post(sign_of_life());
}

KeepAliveArgs GrpcMetaSession::sign_of_life() const {
  std::unique_lock lock(mutex_);
  const auto unsent = options_.unsent;
  lock.unlock();
  return {unsent ? unsent() : UnsentBytes{}};
}

// A keep-alive whose answer counts, one at a time.
void GrpcMetaSession::probe(SteadyTime now) {
  if (probe_unanswered_ || now - last_probe_ < options_.keep_alive_interval) return;
  probe_unanswered_ = true;
  last_probe_ = now;
  const auto request = std::make_shared<PendingRequest>(sign_of_life(), Caller{});
  request->posted = true;
  request->probes_at = now;
  send(request);
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
  if (closing_) settle_the_rest();
}

void GrpcMetaSession::end_for_good(Error why) {
  std::vector<PendingRequestPtr> all;
  bool had_begun = false;
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return;
    ended_ = why;
    had_begun = session_ != SessionId{};
    all = pending_.take_all();
    unanswered_.store(0);
  }
  // Before that, connect() is told.
  if (had_begun) log_error("rpc", "the session has ended: {}", why.to_string());
  fail_all(all, why);
  over_.store(true);
}

// Whoever answers is no server for us, and will not be.
void GrpcMetaSession::refuse(Error why) {
  end_for_good(why);
  break_off(std::move(why));
}

// --- what the server says ------------------------------------------------------------

void GrpcMetaSession::on_message(grpc::ByteBuffer message) {
  frame_.Clear();
  if (const auto parsed = parse_message(message, frame_); !parsed) return break_off(parsed.error());
  if (frame_.has_error()) return take_error(frame_.error());
  if (frame_.has_welcome()) take_welcome(std::move(*frame_.mutable_welcome()));
  if (frame_.has_recall()) take_recall(frame_.recall());
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
  if (welcome.protocol_version() != 0 && welcome.protocol_version() != kProtocolVersion)
    return refuse({Errc::wrong_version,
                   fmt::format("the metadata server at {} speaks version {} of the protocol, this "
                               "program version {}",
                               options_.address, welcome.protocol_version(), kProtocolVersion)});
  const std::string& expected = cluster_.empty() ? options_.cluster : cluster_;
  if (welcome.cluster().empty() || welcome.session() == 0 ||
      (welcome.chunk_size() == 0 || welcome.chunk_size() > kChunkSizeMax))
    return break_off({Errc::bad_message, "the welcome lacks the cluster, session or chunk size"});
  if (!expected.empty() && welcome.cluster() != expected)
    return refuse({Errc::wrong_cluster,
                   fmt::format("the metadata server at {} belongs to cluster {}, not to {}",
                               options_.address, welcome.cluster(), expected)});
  if (welcome.has_group_table()) take_group_table(welcome.group_table());
  if (const auto taken = take_estate(welcome); !taken) return break_off(taken.error());

  const SessionId session{welcome.session()};
  std::function<void(SessionId)> on_new_session;
  bool is_resumed = false;
  {
    const std::lock_guard lock(mutex_);
    if (link_ != Link::greeting) return;
    const bool had_session = session_ != SessionId{};
    is_resumed = had_session && welcome.resumed() && session == session_;
    if (had_session && !is_resumed && !adopting_) on_new_session = options_.on_new_session;
  }
  // Before anything is asked under it by somebody who has not heard yet.
  if (on_new_session) on_new_session(session);

  PendingRequests::Restart restart;
  std::shared_ptr<StreamClient> stream;
  {
    const std::lock_guard lock(mutex_);
    if (link_ != Link::greeting) return;
    if (cluster_.empty()) cluster_ = std::move(*welcome.mutable_cluster());
    if (is_resumed) restart.stale = pending_.resume();
    else restart = pending_.restart();
    adopted_.store(is_resumed && adopting_);
    unanswered_.store(pending_.size());
    session_ = session;
    session_epoch_ = Epoch{welcome.session_epoch()};
    remember_locked();
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
    finish(request);
  }
  log_debug("rpc", "session {} with the metadata server at {}", session.value(), options_.address);
  take_terms(welcome);
  welcomed_.store(true);
  stream->poke();
}

Result<void> GrpcMetaSession::take_estate(const v1::Welcome& welcome) {
  SessionEstate estate = TRY(from_proto(welcome.estate()));
  const std::lock_guard lock(mutex_);
  // What is still to be given back is asked for again.
  early_recalls_.clear();
  estate_ = welcome.resumed() ? std::move(estate) : SessionEstate{};
  return {};
}

// On the loop, once there are hooks.
void GrpcMetaSession::start_leases() {
  LeaseHooks hooks;
  LeaseTerms terms;
  SteadyTime asked;
  SessionEstate estate;
  std::vector<LeaseRecall> recalls;
  bool adopts = false;
  {
    const std::lock_guard lock(mutex_);
    hooks = leases_;
    terms = terms_;
    asked = welcomed_at_;
    adopts = adopting_;
    estate = std::exchange(estate_, {});
    recalls = std::exchange(early_recalls_, {});
  }
  estate.lease_order = terms.order;
  if (adopts && hooks.adopted) hooks.adopted(estate);
  {
    // Whoever breaks off and comes again before has not forgotten yet.
    const std::lock_guard lock(mutex_);
    adopting_ = false;
  }
  if (adopts && !estate.is_complete) post(ReturnLeasesArgs{.leases = {}, .all_forgotten = true});
  hooks.welcomed(terms);
  hooks.confirmed(asked);
  for (const LeaseRecall& recall : recalls) hooks.recalled(recall);
}

void GrpcMetaSession::take_terms(const v1::Welcome& welcome) {
  probe_unanswered_ = false;
  LeaseTerms terms;
  terms.order = welcome.lease_order();
  terms.lease_time = milliseconds(welcome.lease_time_ms());
  for (const std::uint64_t inode : welcome.lost_leases()) terms.lost.emplace_back(inode);
  LeaseHooks hooks;
  {
    const std::lock_guard lock(mutex_);
    hooks = leases_;
    terms_ = terms;
    welcomed_at_ = dialed_at_;
  }
  if (!hooks.welcomed) return;
  hooks.welcomed(terms);
  hooks.confirmed(dialed_at_);
}

void GrpcMetaSession::take_recall(const v1::LeaseRecall& message) {
  const Result<LeaseRecall> recall = from_proto(message);
  if (!recall) return break_off(recall.error());
  std::function<void(const LeaseRecall&)> recalled;
  {
    const std::lock_guard lock(mutex_);
    recalled = leases_.recalled;
    if (!recalled && adopting_) early_recalls_.push_back(*recall);
  }
  if (recalled) recalled(*recall);
}

void GrpcMetaSession::take_response(v1::Response&& response) {
  PendingRequestPtr request;
  {
    const std::lock_guard lock(mutex_);
    request = pending_.take(response.id());
    if (request != nullptr && !response.has_error()) pending_.succeeded(*request, response.change());
    unanswered_.store(pending_.size(), std::memory_order_relaxed);
  }
  if (request == nullptr) {
    log_warn("rpc", "the metadata server at {} answers a request that was not made",
             options_.address);
    return;
  }
  if (request->probes_at) {
    probe_unanswered_ = false;
    std::function<void(SteadyTime)> confirmed;
    {
      const std::lock_guard lock(mutex_);
      confirmed = leases_.confirmed;
    }
    if (confirmed) confirmed(*request->probes_at);
  }
  request->response.Swap(&response);
  if (request->posted || request->abandoned) finish_unattended(*request);
  finish(request);
}

// `request` has its answer and is not pending any more, so that nobody can
// leave it now.
void GrpcMetaSession::finish(const PendingRequestPtr& request) {
  const bool is_late = request->late != nullptr;
  request->finished.store(true, std::memory_order_release);
  if (is_late) late_.hand_over(request);
}

// Nobody waits for this answer.
void GrpcMetaSession::finish_unattended(const PendingRequest& request) {
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
    finish(request);
  }
}

}  // namespace dfs
