// The far end of our connections: long-lived bidirectional streams of raw
// messages, and unary methods beside them.
//
// All of it runs on the process's one completion loop (completion_loop.h),
// whose thread busy-polls for a moment after activity, because waking a
// thread costs more than most requests; when nothing comes it blocks. Clients
// that the process makes after start() run on the same loop.
//
// Unary methods are not generated service classes on purpose. A callback
// service brings gRPC threads of its own that wait for the same sockets, and
// every message then costs a hand-over between threads (measured: 125 us
// instead of 16). So every method, stream or unary, is served raw by its full
// name ("/dfs.v1.StorageService/Sync"); handler.h makes a typed unary method
// out of a function. An unknown method is answered UNIMPLEMENTED.
//
// Threads: any.
#pragma once

#include <grpcpp/support/byte_buffer.h>

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "common/base/ids.h"
#include "common/base/result.h"

namespace dfs {

// One stream's far end. Threads: any, for all calls.
class StreamPeer {
 public:
  virtual ~StreamPeer() = default;

  // Queues a message; sent in order. False if the stream is over. Beyond
  // queue_bytes_max the peer is considered stuck and the stream is ended.
  virtual bool send(grpc::ByteBuffer message) = 0;
  // Sends what is queued, then ends the stream with that status (ok: OK).
  virtual void close(const Error& error) = 0;
  // After on_message() returned Reading::pause: go on. May come before that
  // call has returned. Without a pause before it, nothing happens.
  virtual void resume() = 0;

  virtual std::size_t queued_bytes() const = 0;
  // "ipv4:127.0.0.1:43210", "unix:".
  virtual const std::string& peer_address() const = 0;
};

enum class Reading { go_on, pause };

// Made per stream by the factory. Calls come one at a time, on the polling
// thread: never block there. Destroyed soon after on_end(), on that thread.
class StreamHandler {
 public:
  virtual ~StreamHandler() = default;
  virtual Reading on_message(grpc::ByteBuffer message) = 0;
  // The stream is over, from either side; send() returns false from now on.
  // Comes exactly once, as the last call.
  virtual void on_end() = 0;
};

// Answers one unary call: `reply` exactly once, from any thread, at once or later.
using UnaryReply = std::function<void(Result<grpc::ByteBuffer>)>;
using UnaryMethod = std::function<void(grpc::ByteBuffer request, UnaryReply reply)>;

class StreamServer {
 public:
  struct Options {
    std::string listen_address;
    bool local_socket = true;             // listen on local_socket_path() too
    std::size_t queue_bytes_max = 64 * MiB;  // per stream
    std::size_t streams_max = 4096;       // calls at once; one more is refused
  };
  // A factory may return null: the stream is then closed as `unavailable`.
  using Factory = std::function<std::unique_ptr<StreamHandler>(std::shared_ptr<StreamPeer>)>;

  // Listens and serves. Keys are full gRPC names: "/dfs.v1.MetaService/Session".
  //   busy     the port is in use; the error names the address
  //   invalid  not an address
  // Port 0 takes a free one.
  static Result<std::unique_ptr<StreamServer>> start(Options options,
                                                     std::map<std::string, Factory> streams,
                                                     std::map<std::string, UnaryMethod> unary = {});
  // Stops.
  virtual ~StreamServer() = default;

  // Stops accepting, ends the streams, joins. Every handler has had its
  // on_end() when it returns. Idempotent. Not from the polling thread.
  virtual void stop() = 0;

  // HOST:PORT as bound.
  virtual const std::string& address() const = 0;
  // The unix socket's path; empty if there is none.
  virtual const std::string& local_socket() const = 0;
};

}  // namespace dfs
