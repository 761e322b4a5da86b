#include "common/rpc/storage_connection.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/base/log.h"
#include "common/rpc/channels.h"
#include "common/rpc/protocol.h"
#include "common/rpc/unary_call.h"

namespace dfs {
namespace {

using std::chrono::milliseconds;

constexpr const char* kPutMethod = "/dfs.v1.StorageService/Put";
constexpr const char* kGetMethod = "/dfs.v1.StorageService/Get";
// Stable media may be slow: a sync gets this many times progress_timeout.
constexpr int kSyncPatience = 4;
constexpr std::size_t kChunksPerCallMax = 256 << 10;
// How often memory that gRPC still holds is looked at before ticks do.
constexpr int kMemoryLooks = 200;

using Stub = v1::StorageService::Stub;

// The two do not belong together, and waiting will not change it.
bool is_refusal(Errc code) { return code == Errc::wrong_cluster || code == Errc::wrong_version; }

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

void StorageConnection::sync(std::vector<ChunkId> chunks, std::function<void(Result<void>)> done) {
  v1::SyncChunksRequest request;
  request.set_cluster(options_.cluster);
  for (const ChunkId chunk : chunks) request.add_chunks(chunk.value());
  const auto answered = [done](Result<v1::SyncChunksResponse> response) {
    if (!response) return done(fail(std::move(response).error()));
    if (response->missing_size() == 0) return done({});
    done(fail(Errc::not_found, to_string(ChunkId{response->missing(0)}) + " is not there"));
  };
  submit_plain({[this, request = std::move(request), answered] {
                  start_plain<v1::SyncChunksResponse>(&Stub::PrepareAsyncSync, request, answered);
                },
                [done](const Error& why) { done(fail(why)); }},
               chunks.size());
}

void StorageConnection::stat(std::vector<ChunkId> chunks,
                             std::function<void(Result<std::vector<StoredChunk>>)> done) {
  v1::StatChunksRequest request;
  for (const ChunkId chunk : chunks) request.add_chunks(chunk.value());
  const auto answered = [done, chunks](Result<v1::StatChunksResponse> response) {
    if (!response) return done(fail(std::move(response).error()));
    std::vector<StoredChunk> stored;
    for (const v1::ChunkInfo& info : response->chunks())
      stored.push_back({ChunkId{info.chunk()}, info.present(), info.length(),
                        InodeId{info.inode()}, info.file_offset(), info.written(),
                        info.scattered()});
    const auto is_answer = [](const StoredChunk& one, ChunkId asked) {
      return one.chunk == asked && (!one.present || (one.length > 0 && one.length <= kChunkSizeMax));
    };
    if (!std::equal(stored.begin(), stored.end(), chunks.begin(), chunks.end(), is_answer))
      return done(fail(Errc::bad_message, "the answer is about other chunks"));
    done(std::move(stored));
  };
  submit_plain({[this, request = std::move(request), answered] {
                  start_plain<v1::StatChunksResponse>(&Stub::PrepareAsyncStat, request, answered);
                },
                [done](const Error& why) { done(fail(why)); }},
               chunks.size());
}

void StorageConnection::submit_plain(PlainCall call, std::size_t chunks) {
  std::optional<Error> refused;
  if (chunks > kChunksPerCallMax) refused = Error{Errc::invalid, "a call names too many chunks"};
  bool starts = false;
  {
    const std::lock_guard lock(mutex_);
    if (!refused) refused = admit_locked();
    starts = state_ == State::up;
    if (!refused && !starts) plain_calls_.push_back(call);
  }
  loop_->unattended_begins();
  if (refused)
    return loop_->run_soon([self = shared_from_this(), call = std::move(call),
                            why = std::move(*refused)] {
      self->loop_->unattended_ends();
      call.refuse(why);
    });
  if (starts)
    loop_->run_soon([self = shared_from_this(), call = std::move(call)] { call.start(); });
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

// --- connecting ----------------------------------------------------------------------

void StorageConnection::open() {
  loop_->run_soon([self = shared_from_this()] {
    self->self_ = self;
    self->loop_->attach(*self);
  });
}

void StorageConnection::connect() {
  const std::string target = dial_target(server_.address, server_.machine, server_.local_socket);
  channel_ = make_channel(target);
  {
    const std::lock_guard lock(mutex_);
    local_ = local_reader_ != nullptr && target.starts_with("unix:");
  }
  stub_ = v1::StorageService::NewStub(channel_);
  heard_ = false;
  identifying_ = true;
  v1::IdentifyRequest request;
  request.set_cluster(options_.cluster);
  request.set_protocol_version(kProtocolVersion);
  UnaryCall<Stub, v1::IdentifyResponse>::start(
      *stub_, &Stub::PrepareAsyncIdentify, request, options_.connect_timeout,
      loop_->queue(), [self = shared_from_this()](Result<v1::IdentifyResponse> response) {
        self->identified(std::move(response));
      });
}

Result<void> StorageConnection::check_identity(const v1::IdentifyResponse& response) const {
  if (response.protocol_version() != kProtocolVersion)
    return fail(error(Errc::wrong_version,
                      fmt::format("it speaks protocol version {}, this program version {}",
                                  response.protocol_version(), kProtocolVersion)));
  if (!options_.cluster.empty() && response.cluster() != options_.cluster)
    return fail(error(Errc::wrong_cluster, fmt::format("it belongs to cluster {}, not to {}",
                                                       response.cluster(), options_.cluster)));
  if (response.server() != server_.server.value())
    return fail(error(Errc::unavailable,
                      fmt::format("storage server {} answers there", response.server())));
  return {};
}

void StorageConnection::identified(Result<v1::IdentifyResponse> response) {
  identifying_ = false;
  Result<void> agreed;
  if (!response)
    agreed = fail(error(response.error().code, response.error().text));
  else
    agreed = check_identity(*response);
  if (!agreed) {
    break_off(std::move(agreed).error());
    return settle_if_ended();
  }
  std::vector<PlainCall> calls;
  bool closing = false;
  {
    const std::lock_guard lock(mutex_);
    closing = closing_;
    if (!closing) {
      state_ = State::up;
      for (Lane* lane : {&put_lane_, &get_lane_}) lane->greeted = false;
      put_lane_.stream = StreamClient::open(loop_, channel_, kPutMethod, put_lane_);
      get_lane_.stream = StreamClient::open(loop_, channel_, kGetMethod, get_lane_);
      calls.swap(plain_calls_);
    }
  }
  if (closing) return settle_if_ended();
  for (const PlainCall& call : calls) call.start();
}

// The connection is of no use any more: everything outstanding fails, and
// when its streams have ended the next call may connect again.
void StorageConnection::break_off(Error why) {
  std::vector<PutCallPtr> puts;
  std::map<std::uint64_t, GetCallPtr> gets;
  std::vector<PlainCall> calls;
  std::shared_ptr<StreamClient> streams[2];
  bool to_tell = false;
  {
    const std::lock_guard lock(mutex_);
    if (state_ == State::ending || state_ == State::idle) return;
    // It is tried again for ever; somebody should know why it is in vain.
    to_tell = is_refusal(why.code) && last_failure_.code != why.code;
    if (state_ == State::up && heard_) {
      pause_ = kPauseLeast;
      retry_at_ = clock_.now();
    } else {
      retry_at_ = clock_.now() + pause_;
      pause_ = std::min(pause_ * 2, kPauseMost);
    }
    state_ = State::ending;
    last_failure_ = why;
    puts = puts_.take_all();
    gets.swap(gets_);
    gets_to_send_.clear();
    calls.swap(plain_calls_);
    streams[0] = put_lane_.stream;
    streams[1] = get_lane_.stream;
  }
  if (to_tell) log_warn("rpc", "{}", why.text);
  for (const auto& stream : streams)
    if (stream != nullptr) stream->cancel();
  for (PutCallPtr& call : puts) finish_put(std::move(call), fail(why));
  for (const auto& [id, call] : gets) end_get(call, why);
  for (const PlainCall& call : calls) {
    loop_->unattended_ends();
    call.refuse(why);
  }
}

void StorageConnection::lane_ended(Lane& lane, Error why) {
  {
    const std::lock_guard lock(mutex_);
    lane.stream.reset();
  }
  break_off(error(is_refusal(why.code) ? why.code : Errc::unavailable, why.text));
  settle_if_ended();
}

// Ends State::ending once nothing of the connection is left.
void StorageConnection::settle_if_ended() {
  bool again = false;
  {
    const std::lock_guard lock(mutex_);
    const bool streams = put_lane_.stream != nullptr || get_lane_.stream != nullptr;
    if (streams || identifying_) return;
    if (state_ != State::ending && !closing_) return;
    // For calls that came while the old connection ended. Whoever finds it
    // idle, from here on, connects himself.
    const bool waiting = !puts_.empty() || !gets_.empty() || !plain_calls_.empty();
    again = !closing_ && waiting;
    state_ = again ? State::connecting : State::idle;
  }
  stub_.reset();
  channel_.reset();
  if (again) return connect();
  finish_lingering();
  if (!closing_ || !lingering_.empty() || plain_in_flight_ > 0 || local_reads_ > 0) return;
  loop_->detach(*this);
  const std::shared_ptr<StorageConnection> self = std::move(self_);
  quiet_.store(true);
}

void StorageConnection::close() {
  loop_->run_soon([self = shared_from_this()] {
    {
      const std::lock_guard lock(self->mutex_);
      self->closing_ = true;
    }
    self->break_off(self->error(Errc::unavailable, "the connection is closed"));
    self->settle_if_ended();
  });
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

template <typename Response, typename Request>
void StorageConnection::start_plain(PlainMethod<Response, Request> method, const Request& request,
                                    std::function<void(Result<Response>)> done) {
  const auto finish = [this, done = std::move(done)](Result<Response> response) {
    loop_->unattended_ends();
    done(std::move(response));
  };
  if (stub_ == nullptr) return finish(fail(error(Errc::unavailable, "the connection broke")));
  ++plain_in_flight_;
  UnaryCall<Stub, Response>::start(
      *stub_, method, request, options_.progress_timeout * kSyncPatience, loop_->queue(),
      [self = shared_from_this(), finish](Result<Response> response) {
        --self->plain_in_flight_;
        if (response)
          finish(std::move(response));
        else
          finish(fail(self->error(response.error().code, response.error().text)));
        self->settle_if_ended();
      });
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
