#include "common/rpc/storage_connection.h"

#include <fmt/format.h>

#include <utility>

#include "common/base/log.h"
#include "common/rpc/protocol.h"

namespace dfs {
namespace {

// How often memory that gRPC still holds is looked at before ticks do.
constexpr int kMemoryLooks = 200;

}  // namespace

StorageConnection::StorageConnection(StorageClientOptions options, ServerInfo server,
                                     GroupTableSource table, Clock& clock)
    : options_(std::move(options)),
      server_(std::move(server)),
      table_(std::move(table)),
      clock_(clock),
      loop_(CompletionLoop::shared()),
      local_reader_(options_.local_reader),
      puts_(options_.window_bytes) {}

// --- calls ---------------------------------------------------------------------------

Error StorageConnection::error(Errc code, std::string_view why) const {
  return {code, fmt::format("storage server {} at {}: {}", server_.server.value(), server_.address,
                            why)};
}

std::optional<Error> StorageConnection::admit_locked() {
  if (closing_) return error(Errc::unavailable, "the connection is being closed");
  if (state_ != State::idle) return std::nullopt;
  if (clock_.now() < retry_at_) return last_failure_;
  state_ = State::connecting;
  loop_->run_soon([self = shared_from_this()] { self->connect(); });
  return std::nullopt;
}

std::vector<ForwardTarget> StorageConnection::targets(const std::vector<ServerId>& servers) const {
  std::vector<ForwardTarget> targets;
  if (servers.empty()) return targets;
  const GroupTablePtr table = table_ ? table_() : nullptr;
  for (const ServerId server : servers) {
    ForwardTarget& target = targets.emplace_back();
    target.server = server;
    // Without an address the server reports it as failed.
    if (table == nullptr) continue;
    const auto found = table->servers.find(server);
    if (found == table->servers.end()) continue;
    target.address = found->second.address;
    target.local_socket = found->second.local_socket;
    target.machine = found->second.machine;
  }
  return targets;
}

void StorageConnection::put(PutArgs args, std::function<void(Result<PutOutcome>)> done) {
  auto forward = targets(args.forward);
  const auto call = std::make_shared<PutCall>(std::move(args), std::move(forward), std::move(done));
  std::shared_ptr<StreamClient> stream;
  std::optional<Error> refused;
  {
    const std::lock_guard lock(mutex_);
    refused = admit_locked();
    if (!refused)
      if (const auto added = puts_.add(call); !added) refused = added.error();
    stream = put_lane_.stream;
  }
  loop_->unattended_begins();
  if (refused)
    return loop_->run_soon([self = shared_from_this(), call, why = std::move(*refused)] {
      self->finish_put(call, fail(why));
    });
  if (stream != nullptr) stream->poke();
}

void StorageConnection::get(std::vector<GetArgs> ranges, GetCall::Done done) {
  const bool sensible = !ranges.empty() && ranges.size() <= kRangesPerGetMax;
  const auto call = std::make_shared<GetCall>(std::move(ranges), std::move(done));
  loop_->unattended_begins();
  std::optional<Error> refused;
  if (!sensible) refused = Error{Errc::invalid, "a get asks for no range or for too many"};
  submit_get(call, std::move(refused));
}

void StorageConnection::submit_get(const GetCallPtr& call, std::optional<Error> refused) {
  std::shared_ptr<StreamClient> stream;
  if (!refused) {
    const std::lock_guard lock(mutex_);
    refused = admit_locked();
    if (!refused) {
      call->last_progress = clock_.now();
      const std::uint64_t id = next_get_id_++;
      gets_.emplace_hint(gets_.end(), id, call);
      gets_to_send_.push_back(id);
    }
    stream = get_lane_.stream;
  }
  if (refused)
    return loop_->run_soon([self = shared_from_this(), call, why = std::move(*refused)] {
      self->end_get(call, why);
    });
  if (stream != nullptr) stream->poke();
}

// --- what goes out -------------------------------------------------------------------

std::optional<StreamGreeting> StorageConnection::greeting_locked(Lane& lane) const {
  if (std::exchange(lane.greeted, true)) return std::nullopt;
  return StreamGreeting{options_.cluster, kProtocolVersion};
}

bool StorageConnection::next_put(grpc::ByteBuffer& message) {
  const std::lock_guard lock(mutex_);
  const bool had_greeted = put_lane_.greeted;
  if (puts_.next_frame(message, greeting_locked(put_lane_), clock_.now())) return true;
  put_lane_.greeted = had_greeted;
  return false;
}

bool StorageConnection::next_get(grpc::ByteBuffer& message) {
  const std::lock_guard lock(mutex_);
  while (!gets_to_send_.empty()) {
    const std::uint64_t id = gets_to_send_.front();
    gets_to_send_.pop_front();
    const auto found = gets_.find(id);
    if (found == gets_.end()) continue;
    found->second->local = found->second->local && local_;
    GetQuestion question = found->second->question(id);
    question.greeting = greeting_locked(get_lane_);
    message = encode(question);
    return true;
  }
  return false;
}

// --- what comes in -------------------------------------------------------------------

void StorageConnection::take_put(grpc::ByteBuffer message) {
  heard_ = true;
  Result<PutAnswer> answer = decode_put_answer(message);
  if (!answer) return break_off(error(Errc::unavailable, answer.error().text));
  Result<std::optional<PutQueue::Finished>> finished;
  std::shared_ptr<StreamClient> stream;
  {
    const std::lock_guard lock(mutex_);
    finished = puts_.take_answer(std::move(*answer), clock_.now());
    stream = put_lane_.stream;
  }
  if (!finished) return break_off(error(Errc::unavailable, finished.error().text));
  // The window has moved, or a question is answered.
  if (stream != nullptr) stream->poke();
  if (*finished) finish_put(std::move((*finished)->call), std::move((*finished)->result));
}

void StorageConnection::take_get(grpc::ByteBuffer message) {
  heard_ = true;
  const Result<DecodedGet> decoded = decode_get_part(message);
  if (!decoded) return break_off(error(Errc::unavailable, decoded.error().text));
  const GetPart& part = decoded->part;
  GetCallPtr call;
  {
    const std::lock_guard lock(mutex_);
    const auto found = gets_.find(part.id);
    if (found == gets_.end()) return;  // given up
    call = found->second;
    call->last_progress = clock_.now();
  }
  auto taken = call->take_part(part, decoded->payload);
  if (!taken) return break_off(error(Errc::unavailable, taken.error().text));
  if (part.last) {
    const std::lock_guard lock(mutex_);
    gets_.erase(part.id);
  }
  if (*taken) read_local(call, *std::move(*taken));
  if (part.last) end_get(call, error(Errc::io, "the answer is incomplete"));
}

// What the page cache has is copied at once, like bytes that came over the
// wire; for anything else a thread waits.
void StorageConnection::read_local(const GetCallPtr& call, GetCall::LocalPart part) {
  ++local_reads_;
  Result<void> done = local_reader_->read(part.read, LocalReader::Wait::no);
  if (!done && done.error().code == Errc::again) {
    const std::size_t range = part.range;
    done = local_reader_->run([self = shared_from_this(), loop = loop_, call,
                               part = std::move(part)]() mutable {
      Result<void> result = self->local_reader_->read(part.read, LocalReader::Wait::yes);
      loop->run_soon([self = std::move(self), call = std::move(call), range = part.range,
                      result = std::move(result)] { self->took_local(call, range, result); });
    });
    if (done) return;
    return took_local(call, range, done);
  }
  took_local(call, part.range, done);
}

void StorageConnection::took_local(const GetCallPtr& call, std::size_t range,
                                   const Result<void>& result) {
  --local_reads_;
  if (!result) {
    const Errc code = result.error().code;
    // A chunk that is not there any more is one thing; files that we cannot
    // open at all are another.
    const bool never = code != Errc::corrupt && code != Errc::overloaded;
    const std::lock_guard lock(mutex_);
    if (never && std::exchange(local_, false))
      log_info("rpc", "storage server {} sends what its files cannot be read for: {}",
               server_.server.value(), result.error().to_string());
  }
  call->took_local(range, result);
  call->last_progress = clock_.now();
  if (call->is_over()) finish_get(call);
  if (local_reads_ == 0) settle_if_ended();
}

// --- completions ---------------------------------------------------------------------

void StorageConnection::finish_put(PutCallPtr call, Result<PutOutcome> result) {
  if (!call->memory_is_free()) {
    lingering_.push_back({std::move(call), std::move(result)});
    if (lingering_.size() == 1) {
      memory_looks_ = kMemoryLooks;
      loop_->run_soon([self = shared_from_this()] { self->finish_lingering(); });
    }
    return;
  }
  loop_->unattended_ends();
  call->done(std::move(result));
}

void StorageConnection::finish_lingering() {
  if (lingering_.empty()) return;
  std::vector<Lingering> looked_at;
  looked_at.swap(lingering_);
  for (Lingering& put : looked_at) {
    if (!put.call->memory_is_free()) {
      lingering_.push_back(std::move(put));
      continue;
    }
    loop_->unattended_ends();
    put.call->done(std::move(put.result));
  }
  if (!lingering_.empty() && memory_looks_-- > 0)
    loop_->run_soon([self = shared_from_this()] { self->finish_lingering(); });
}

void StorageConnection::end_get(const GetCallPtr& call, const Error& why) {
  call->end(why);
  if (call->is_over()) finish_get(call);
}

void StorageConnection::finish_get(const GetCallPtr& call) {
  if (const GetCallPtr rest = call->rest()) return submit_get(rest, std::nullopt);
  loop_->unattended_ends();
  call->finish();
}

void StorageConnection::on_tick(SteadyTime) {
  give_up_stuck(clock_.now());
  if (lingering_.empty()) return;
  finish_lingering();
  settle_if_ended();
}

void StorageConnection::give_up_stuck(SteadyTime now) {
  const SteadyTime then = now - options_.progress_timeout;
  std::vector<PutCallPtr> puts;
  std::vector<GetCallPtr> gets;
  {
    const std::lock_guard lock(mutex_);
    if (state_ != State::up) return;
    puts = puts_.take_stuck(then);
    for (auto at = gets_.begin(); at != gets_.end();) {
      if (at->second->last_progress < then) {
        gets.push_back(std::move(at->second));
        at = gets_.erase(at);
      } else {
        ++at;
      }
    }
  }
  if (puts.empty() && gets.empty()) return;
  const Error why = error(Errc::timed_out, "it does not go on");
  log_warn("rpc", "{}", why.text);
  for (PutCallPtr& call : puts) finish_put(std::move(call), fail(why));
  for (const GetCallPtr& call : gets) end_get(call, why);
  break_off(error(Errc::unavailable, "the connection was given up, it did not go on"));
}

}  // namespace dfs
