// How a connection begins and how it ends.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/base/log.h"
#include "common/rpc/channels.h"
#include "common/rpc/protocol.h"
#include "common/rpc/storage_connection.h"
#include "common/rpc/unary_call.h"

namespace dfs {
namespace {

constexpr const char* kPutMethod = "/dfs.v1.StorageService/Put";
constexpr const char* kGetMethod = "/dfs.v1.StorageService/Get";

using Stub = v1::StorageService::Stub;

// The two do not belong together, and waiting will not change it.
bool is_refusal(Errc code) { return code == Errc::wrong_cluster || code == Errc::wrong_version; }

}  // namespace

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

}  // namespace dfs
