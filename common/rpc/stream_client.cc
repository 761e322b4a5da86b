#include "common/rpc/stream_client.h"

#include <utility>

#include "common/rpc/grpc_status.h"

namespace dfs {
StreamClient::StreamClient(std::shared_ptr<CompletionLoop> loop,
                           std::shared_ptr<grpc::Channel> channel, StreamUser& user)
    : loop_(std::move(loop)), channel_(std::move(channel)), stub_(channel_), user_(user) {}

std::shared_ptr<StreamClient> StreamClient::open(std::shared_ptr<CompletionLoop> loop,
                                                 std::shared_ptr<grpc::Channel> channel,
                                                 const std::string& method, StreamUser& user) {
  std::shared_ptr<StreamClient> stream(
      new StreamClient(std::move(loop), std::move(channel), user));
  stream->self_ = stream;
  stream->stream_ =
      stream->stub_.PrepareCall(&stream->context_, method, stream->loop_->queue());
  stream->stream_->StartCall(CompletionLoop::tag(&stream->on_started_));
  return stream;
}

void StreamClient::cancel() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  context_.TryCancel();
}

void StreamClient::started(bool ok) {
  {
    const std::lock_guard lock(mutex_);
    open_ = ok;
  }
  // Reading also when the call could not be made: its failure ends the stream
  // by the same path as every other end.
  stream_->Read(&incoming_, CompletionLoop::tag(&on_read_));
  if (ok) poke();
}

void StreamClient::read(bool ok) {
  if (!ok) return end();
  grpc::ByteBuffer message;
  message.Swap(&incoming_);
  stream_->Read(&incoming_, CompletionLoop::tag(&on_read_));
  user_.on_message(std::move(message));
}

void StreamClient::poke() {
  {
    const std::lock_guard lock(mutex_);
    poked_ = true;
    if (writing_ || !open_ || ending_) return;
    writing_ = true;
  }
  pump();
}

// Sends the next message. Whoever calls owns writing_.
void StreamClient::pump() {
  for (;;) {
    {
      const std::lock_guard lock(mutex_);
      poked_ = false;
      if (ending_) break;
    }
    grpc::ByteBuffer message;
    if (user_.next_message(message)) {
      stream_->Write(message, CompletionLoop::tag(&on_written_));
      return;
    }
    const std::lock_guard lock(mutex_);
    if (ending_) break;
    if (!poked_) {
      writing_ = false;
      return;
    }
  }
  {
    const std::lock_guard lock(mutex_);
    writing_ = false;
  }
  finish_if_quiet();
}

void StreamClient::written(bool ok) {
  if (ok) return pump();
  // The call is dead; the read says so too.
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    writing_ = false;
  }
  finish_if_quiet();
}

// The read has failed: nothing comes any more.
void StreamClient::end() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    open_ = false;
    read_over_ = true;
  }
  finish_if_quiet();
}

void StreamClient::finish_if_quiet() {
  {
    const std::lock_guard lock(mutex_);
    if (!read_over_ || writing_ || finishing_) return;
    finishing_ = true;
  }
  stream_->Finish(&status_, CompletionLoop::tag(&on_finished_));
}

// The user hears of the end when the stream has let go of everything: he may
// be waiting for it in order to end the loop.
void StreamClient::finished(bool) {
  StreamUser& user = user_;
  Error why = status_.ok() ? Error{Errc::unavailable, "the server ended the stream"}
                           : from_grpc(status_);
  std::shared_ptr<StreamClient> self = std::move(self_);
  self.reset();
  user.on_end(std::move(why));
}

}  // namespace dfs
