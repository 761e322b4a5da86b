// Invariants: a write is started only by whoever set writing_; Finish is
// started once, with no write under way; the stream leaves its host only when
// the read, the write, Finish and the call's own end have all come back.
#include "common/rpc/server_stream.h"

#include <utility>

#include "common/rpc/grpc_status.h"

namespace dfs {
namespace {

// A smaller message that has a successor waits for it in gRPC's buffer, and
// both leave in one system call.
constexpr std::size_t kSmallMessage = 64 << 10;

}  // namespace

ServerStream::ServerStream(StreamHost& host, std::shared_ptr<CompletionLoop> loop)
    : host_(host), loop_(std::move(loop)) {}

void ServerStream::request(grpc::AsyncGenericService& service) {
  context_.AsyncNotifyWhenDone(CompletionLoop::tag(&on_done_));
  grpc::ServerCompletionQueue* const queue = loop_->server_queue();
  service.RequestCall(&context_, &stream_, queue, queue, CompletionLoop::tag(&on_requested_));
}

void ServerStream::requested(bool ok) {
  if (!ok) return host_.gone(*this);  // the server stops
  host_.accepted();
  peer_address_ = context_.peer();
  {
    const std::lock_guard lock(mutex_);
    over_ = false;
  }
  Error refusal;
  handler_ = host_.make_handler(context_.method(), shared_from_this(), refusal);
  if (handler_ == nullptr) return close(refusal);
  start_read();
}

// --- reading -------------------------------------------------------------------------

void ServerStream::start_read() {
  {
    const std::lock_guard lock(mutex_);
    if (over_ || closing_ || reading_) return;
    reading_ = true;
  }
  stream_.Read(&incoming_, CompletionLoop::tag(&on_read_));
}

void ServerStream::read(bool ok) {
  bool over = false;
  {
    const std::lock_guard lock(mutex_);
    reading_ = false;
    resumed_ = false;
    over = over_ || !ok;
    in_handler_ = !over;
  }
  if (over) return end();

  grpc::ByteBuffer message;
  message.Swap(&incoming_);
  const Reading reading = handler_->on_message(std::move(message));
  {
    const std::lock_guard lock(mutex_);
    in_handler_ = false;
    paused_ = reading == Reading::pause && !resumed_;
    if (paused_) return;
  }
  start_read();
}

void ServerStream::resume() {
  {
    const std::lock_guard lock(mutex_);
    resumed_ = in_handler_;
    if (!paused_) return;
    paused_ = false;
  }
  start_read();
}

// --- writing -------------------------------------------------------------------------

bool ServerStream::send(grpc::ByteBuffer message) {
  const std::size_t size = message.Length();
  std::unique_lock lock(mutex_);
  if (over_ || closing_) return false;
  if (queued_bytes_ + size > host_.queue_bytes_max()) {
    over_ = true;
    lock.unlock();
    context_.TryCancel();
    return false;
  }
  queued_bytes_ += size;
  queue_.push_back(std::move(message));
  if (!writing_) write_next_locked(lock);
  return true;
}

// Takes the lock away: gRPC sends here and now.
void ServerStream::write_next_locked(std::unique_lock<std::mutex>& lock) {
  const grpc::ByteBuffer message = std::move(queue_.front());
  queue_.pop_front();
  writing_ = true;
  writing_bytes_ = message.Length();
  grpc::WriteOptions options;
  if (!queue_.empty() && writing_bytes_ < kSmallMessage) options.set_buffer_hint();
  lock.unlock();
  stream_.Write(message, options, CompletionLoop::tag(&on_written_));
}

void ServerStream::written(bool ok) {
  {
    std::unique_lock lock(mutex_);
    writing_ = false;
    queued_bytes_ -= writing_bytes_;
    over_ = over_ || !ok;
    if (!over_ && !queue_.empty()) return write_next_locked(lock);
  }
  if (!ok) context_.TryCancel();
  finish_if_quiet();
  leave_if_quiet();
}

std::size_t ServerStream::queued_bytes() const {
  const std::lock_guard lock(mutex_);
  return queued_bytes_;
}

// --- the end -------------------------------------------------------------------------

void ServerStream::close(const Error& error) {
  {
    const std::lock_guard lock(mutex_);
    if (over_ || closing_) return;
    closing_ = true;
    status_ = to_grpc(error);
  }
  finish_if_quiet();
}

void ServerStream::done(bool) {
  done_ = true;
  end();
}

// Comes from the failed read, from the end of the call, or from both. The stream
// may be gone when it returns.
void ServerStream::end() {
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
    for (const grpc::ByteBuffer& message : queue_) queued_bytes_ -= message.Length();
    queue_.clear();
  }
  if (handler_ != nullptr) {
    const std::unique_ptr<StreamHandler> handler = std::move(handler_);
    handler->on_end();
  }
  finish_if_quiet();
  leave_if_quiet();
}

void ServerStream::finish_if_quiet() {
  {
    const std::lock_guard lock(mutex_);
    const bool wanted = over_ || (closing_ && queue_.empty());
    if (!wanted || writing_ || finishing_) return;
    finishing_ = true;
  }
  stream_.Finish(status_, CompletionLoop::tag(&on_finished_));
}

void ServerStream::finished(bool) {
  finished_ = true;
  leave_if_quiet();
}

void ServerStream::leave_if_quiet() {
  {
    const std::lock_guard lock(mutex_);
    if (!finished_ || !done_ || reading_ || writing_) return;
  }
  host_.gone(*this);
}

}  // namespace dfs
