// One call that a StreamServer has accepted: StreamPeer for its user, and the
// order of gRPC's events behind it. For stream_server.cc only.
#pragma once

#include <grpcpp/generic/async_generic_service.h>

#include <deque>
#include <memory>
#include <mutex>
#include <string>

#include "common/rpc/completion_loop.h"
#include "common/rpc/stream_server.h"

namespace dfs {

class ServerStream;

// The server, as its streams see it. All calls come on the loop.
class StreamHost {
 public:
  // Null, and why, if the call is refused.
  virtual std::unique_ptr<StreamHandler> make_handler(const std::string& method,
                                                      std::shared_ptr<StreamPeer> peer,
                                                      Error& refusal) = 0;
  // The stream waits for a call no longer.
  virtual void accepted() = 0;
  // No event of the stream is outstanding any more.
  virtual void gone(ServerStream& stream) = 0;
  virtual std::size_t queue_bytes_max() const = 0;

 protected:
  ~StreamHost() = default;
};

// Threads: StreamPeer's calls any; request() and the events on the loop.
class ServerStream final : public StreamPeer, public std::enable_shared_from_this<ServerStream> {
 public:
  ServerStream(StreamHost& host, std::shared_ptr<CompletionLoop> loop);

  // Waits for the next call.
  void request(grpc::AsyncGenericService& service);

  bool send(grpc::ByteBuffer message) override;
  void close(const Error& error) override;
  void resume() override;
  std::size_t queued_bytes() const override;
  const std::string& peer_address() const override { return peer_address_; }

 private:
  void requested(bool ok);
  void read(bool ok);
  void written(bool ok);
  void finished(bool ok);
  void done(bool ok);

  void start_read();
  void write_next_locked(std::unique_lock<std::mutex>& lock);
  void end();
  void finish_if_quiet();
  void leave_if_quiet();

  StreamHost& host_;
  const std::shared_ptr<CompletionLoop> loop_;
  grpc::GenericServerContext context_;
  grpc::GenericServerAsyncReaderWriter stream_{&context_};
  std::string peer_address_;

  mutable std::mutex mutex_;  // of all up to the next blank line
  std::deque<grpc::ByteBuffer> queue_;
  std::size_t queued_bytes_ = 0;  // the message being written included
  std::size_t writing_bytes_ = 0;
  bool writing_ = false;
  bool reading_ = false;
  bool paused_ = false;
  bool resumed_ = false;    // resume() came before the pause it answers
  bool closing_ = false;    // send what is queued, then finish with status_
  bool over_ = true;        // nothing is sent or read: not yet, or not any more
  bool finishing_ = false;
  grpc::Status status_;

  // The loop's.
  std::unique_ptr<StreamHandler> handler_;
  bool in_handler_ = false;
  bool finished_ = false;
  bool done_ = false;
  grpc::ByteBuffer incoming_;
  MemberCompletion<ServerStream> on_requested_{this, &ServerStream::requested};
  MemberCompletion<ServerStream> on_read_{this, &ServerStream::read};
  MemberCompletion<ServerStream> on_written_{this, &ServerStream::written};
  MemberCompletion<ServerStream> on_finished_{this, &ServerStream::finished};
  MemberCompletion<ServerStream> on_done_{this, &ServerStream::done};
};

}  // namespace dfs
