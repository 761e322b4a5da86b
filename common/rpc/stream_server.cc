// StreamServer over grpc::AsyncGenericService: which calls come is learnt from
// their names, so gRPC's own tables of services stay empty.
#include "common/rpc/stream_server.h"

#include <fmt/format.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <atomic>
#include <chrono>
#include <set>
#include <utility>

#include "common/base/address.h"
#include "common/base/log.h"
#include "common/rpc/acceptor.h"
#include "common/rpc/channels.h"
#include "common/rpc/completion_loop.h"
#include "common/rpc/server_stream.h"

namespace dfs {
namespace {

// A client that takes no part in the end of its calls is cut off after this.
constexpr std::chrono::milliseconds kShutdownPatience{200};

// Answers a unary method: one message in, one out.
class UnaryHandler final : public StreamHandler {
 public:
  UnaryHandler(const UnaryMethod& method, std::shared_ptr<StreamPeer> peer)
      : method_(method), peer_(std::move(peer)) {}

  Reading on_message(grpc::ByteBuffer message) override {
    if (std::exchange(asked_, true)) {
      peer_->close({Errc::bad_message, "a second message in a call that takes one"});
      return Reading::pause;
    }
    method_(std::move(message), [peer = peer_](Result<grpc::ByteBuffer> answer) {
      if (!answer) return peer->close(answer.error());
      if (peer->send(std::move(*answer))) peer->close({Errc::ok, {}});
    });
    // The end of the client's messages is no reason to end the call.
    return Reading::pause;
  }
  void on_end() override {}

 private:
  const UnaryMethod& method_;
  const std::shared_ptr<StreamPeer> peer_;
  bool asked_ = false;
};

class GenericServer final : public StreamServer, public StreamHost {
 public:
  GenericServer(Options options, std::map<std::string, Factory> streams,
                std::map<std::string, UnaryMethod> unary)
      : options_(std::move(options)), streams_(std::move(streams)), unary_(std::move(unary)) {}
  ~GenericServer() override { stop(); }

  Result<void> listen();
  void stop() override;
  const std::string& address() const override { return address_; }
  const std::string& local_socket() const override { return local_socket_; }

  // --- StreamHost, on the loop ---
  std::unique_ptr<StreamHandler> make_handler(const std::string& method,
                                              std::shared_ptr<StreamPeer> peer,
                                              Error& refusal) override;
  void accepted() override;
  void gone(ServerStream& stream) override;
  std::size_t queue_bytes_max() const override { return options_.queue_bytes_max; }

 private:
  void add_local_socket();
  void accept_next();

  const Options options_;
  const std::map<std::string, Factory> streams_;
  const std::map<std::string, UnaryMethod> unary_;
  std::string address_;
  std::string local_socket_;

  grpc::AsyncGenericService service_;
  std::shared_ptr<CompletionLoop> loop_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> connections_;
  Acceptor acceptor_;  // after what it hands connections to

  // On the loop only.
  std::set<std::shared_ptr<ServerStream>> live_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> streams_told_{false};  // that the server stops
  std::atomic<std::size_t> live_count_{0};
};

// gRPC takes "0.0.0.0" for every address of this machine, and so does who
// configures it.
Result<int> listen_everywhere(Acceptor& acceptor, const Address& at) {
  if (at.host == "0.0.0.0") {
    Address both = at;
    both.host = "::";
    auto listening = acceptor.listen(both);
    if (listening || listening.error().code == Errc::busy) return listening;
  }
  return acceptor.listen(at);
}

Result<void> GenericServer::listen() {
  const Address at = TRY(parse_address(options_.listen_address, AddressUse::listen));
  if (at.is_unix()) return fail(Errc::invalid, "a server listens on HOST:PORT");
  const int port = TRY(listen_everywhere(acceptor_, at));
  if (options_.local_socket && at.port != 0) add_local_socket();

  grpc::ServerBuilder builder;
  set_server_arguments(builder);
  builder.RegisterAsyncGenericService(&service_);
  using Experimental = grpc::ServerBuilder::experimental_type;
  connections_ = builder.experimental().AddExternalConnectionAcceptor(
      Experimental::ExternalConnectionType::FROM_FD, grpc::InsecureServerCredentials());
  std::unique_ptr<grpc::ServerCompletionQueue> queue = builder.AddCompletionQueue();
  server_ = builder.BuildAndStart();
  invariant(server_ != nullptr, "a gRPC server that need not listen starts");
  address_ = options_.listen_address.substr(0, options_.listen_address.rfind(':') + 1) +
             std::to_string(port);
  loop_ = CompletionLoop::adopt(std::move(queue));
  loop_->unattended_begins();
  loop_->wait_until([this] { return live_count_.load() > 0; }, std::nullopt, nullptr,
                    [this] { loop_->run_soon([this] { accept_next(); }); });
  return acceptor_.start([this](UniqueFd connection) {
    grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters parameters;
    parameters.fd = connection.release();
    connections_->HandleNewConnection(&parameters);
  });
}

void GenericServer::add_local_socket() {
  const std::filesystem::path path = local_socket_path(options_.listen_address);
  auto ready = prepare_local_socket(path);
  if (ready) ready = acceptor_.listen(path);
  if (!ready) {
    log_warn("rpc", "no local socket, clients on this machine use TCP: {}",
             ready.error().to_string());
    return;
  }
  local_socket_ = path.string();
}

void GenericServer::stop() {
  if (server_ == nullptr || stopping_.exchange(true)) return;
  acceptor_.stop();
  loop_->run_soon([this] {
    for (const auto& stream : live_) stream->close({Errc::unavailable, "the server stops"});
    streams_told_ = true;
  });
  server_->Shutdown(std::chrono::system_clock::now() + kShutdownPatience);
  // The last stream may have ended by itself, before the loop came to tell it.
  loop_->wait_until([this] { return streams_told_ && live_count_.load() == 0; }, std::nullopt,
                    nullptr);
  server_->Wait();
  server_.reset();
  loop_->unattended_ends();
  loop_.reset();
}

void GenericServer::accept_next() {
  auto stream = std::make_shared<ServerStream>(*this, loop_);
  live_.insert(stream);
  live_count_.store(live_.size());
  stream->request(service_);
}

void GenericServer::accepted() {
  if (!stopping_) accept_next();
}

void GenericServer::gone(ServerStream& stream) {
  live_.erase(stream.shared_from_this());
  live_count_.store(live_.size());
}

std::unique_ptr<StreamHandler> GenericServer::make_handler(const std::string& method,
                                                           std::shared_ptr<StreamPeer> peer,
                                                           Error& refusal) {
  if (live_.size() > options_.streams_max + 1) {
    refusal = {Errc::overloaded, fmt::format("more than {} calls", options_.streams_max)};
    return nullptr;
  }
  refusal = {Errc::unavailable, "the server does not take this call now"};
  if (stopping_) return nullptr;
  if (const auto found = streams_.find(method); found != streams_.end())
    return found->second(std::move(peer));
  if (const auto found = unary_.find(method); found != unary_.end())
    return std::make_unique<UnaryHandler>(found->second, std::move(peer));
  refusal = {Errc::unsupported, fmt::format("no method {} here", method)};
  return nullptr;
}

}  // namespace

Result<std::unique_ptr<StreamServer>> StreamServer::start(Options options,
                                                          std::map<std::string, Factory> streams,
                                                          std::map<std::string, UnaryMethod> unary) {
  auto server = std::make_unique<GenericServer>(std::move(options), std::move(streams),
                                                std::move(unary));
  TRY(server->listen());
  return server;
}

}  // namespace dfs
