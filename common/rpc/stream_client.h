// The client's end of one long-lived bidirectional stream of raw messages.
//
// Messages are pulled, not pushed: whenever the stream can take one it asks
// its user, who can thus combine all that is waiting into one message and
// keep the rest where he bounds it. poke() says that there is something.
//
// Life: open() -> on_message()* -> on_end(), which comes exactly once and
// last. Calls to the user come on the loop (completion_loop.h), one at a time,
// except next_message(): it comes on the loop or on a thread that called
// poke(), also one at a time, and may run beside the others.
//
// Threads: any. The stream keeps itself alive until on_end() has returned;
// its user must live as long.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>

#include <memory>
#include <mutex>
#include <string>

#include "common/base/result.h"
#include "common/rpc/completion_loop.h"

namespace dfs {

class StreamUser {
 public:
  // The next message to send; false if there is none now.
  virtual bool next_message(grpc::ByteBuffer& message) = 0;
  virtual void on_message(grpc::ByteBuffer message) = 0;
  // The stream is over, whoever ended it.
  virtual void on_end(Error why) = 0;

 protected:
  ~StreamUser() = default;
};

class StreamClient : public std::enable_shared_from_this<StreamClient> {
 public:
  // Never fails: what goes wrong arrives at on_end(). Connects if the channel
  // is not connected; next_message() is first asked when the stream stands.
  static std::shared_ptr<StreamClient> open(std::shared_ptr<CompletionLoop> loop,
                                            std::shared_ptr<grpc::Channel> channel,
                                            const std::string& method, StreamUser& user);

  // There may be a message to send. Sends it here and now if none is under way.
  void poke();
  // Ends the stream; on_end() follows.
  void cancel();

 private:
  StreamClient(std::shared_ptr<CompletionLoop> loop, std::shared_ptr<grpc::Channel> channel,
               StreamUser& user);
  void started(bool ok);
  void read(bool ok);
  void written(bool ok);
  void finished(bool ok);
  void pump();
  void end();
  void finish_if_quiet();

  const std::shared_ptr<CompletionLoop> loop_;
  const std::shared_ptr<grpc::Channel> channel_;
  grpc::GenericStub stub_;
  StreamUser& user_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;

  std::mutex mutex_;  // of all up to the next blank line
  bool open_ = false;
  bool writing_ = false;    // somebody is choosing a message or gRPC is sending it
  bool poked_ = false;      // poke() came meanwhile
  bool ending_ = false;     // no more reads and writes are started
  bool read_over_ = false;  // nothing comes any more
  bool finishing_ = false;

  grpc::ByteBuffer incoming_;
  grpc::Status status_;
  std::shared_ptr<StreamClient> self_;
  MemberCompletion<StreamClient> on_started_{this, &StreamClient::started};
  MemberCompletion<StreamClient> on_read_{this, &StreamClient::read};
  MemberCompletion<StreamClient> on_written_{this, &StreamClient::written};
  MemberCompletion<StreamClient> on_finished_{this, &StreamClient::finished};
};

}  // namespace dfs
