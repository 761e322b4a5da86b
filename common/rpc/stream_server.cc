// StreamServer over grpc::AsyncGenericService: which calls come is learnt from
// their names, so gRPC's own tables of services stay empty.
#include "common/rpc/stream_server.h"

#include <fmt/format.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <set>
#include <utility>

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>

#include "common/base/address.h"
#include "common/base/log.h"
#include "common/base/unique_fd.h"
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
  void add_local_socket(grpc::ServerBuilder& builder);
  void accept_next();

  const Options options_;
  const std::map<std::string, Factory> streams_;
  const std::map<std::string, UnaryMethod> unary_;
  std::string address_;
  std::string local_socket_;

  grpc::AsyncGenericService service_;
  std::shared_ptr<CompletionLoop> loop_;
  std::unique_ptr<grpc::Server> server_;

  // On the loop only.
  std::set<std::shared_ptr<ServerStream>> live_;
  std::atomic<bool> stopping_{false};
  std::atomic<std::size_t> live_count_{0};
};

// gRPC does not tell why it could not listen, so the reason is sought first.
Result<void> check_bindable(const Address& at, const std::string& address) {
  addrinfo wanted{};
  wanted.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int problem =
      ::getaddrinfo(at.host.c_str(), std::to_string(at.port).c_str(), &wanted, &found);
  if (problem != 0)
    return fail(Errc::invalid,
                fmt::format("cannot listen on {}: {}", address, ::gai_strerror(problem)));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> list(found, ::freeaddrinfo);
  const UniqueFd socket(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int yes = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (::bind(socket.get(), found->ai_addr, found->ai_addrlen) == 0 &&
      ::listen(socket.get(), 1) == 0)
    return {};
  if (errno == EADDRINUSE)
    return fail(Errc::busy, fmt::format("cannot listen on {}: the port is in use", address));
  return fail(from_errno(errno),
              fmt::format("cannot listen on {}: {}", address, std::strerror(errno)));
}

Result<void> GenericServer::listen() {
  const Address at = TRY(parse_address(options_.listen_address, AddressUse::listen));
  if (at.is_unix()) return fail(Errc::invalid, "a server listens on HOST:PORT");
  if (at.port != 0) TRY(check_bindable(at, options_.listen_address));

  grpc::ServerBuilder builder;
  set_server_arguments(builder);
  builder.RegisterAsyncGenericService(&service_);
  int port = 0;
  builder.AddListeningPort(options_.listen_address, grpc::InsecureServerCredentials(), &port);
  if (options_.local_socket && at.port != 0) add_local_socket(builder);
  std::unique_ptr<grpc::ServerCompletionQueue> queue = builder.AddCompletionQueue();
  server_ = builder.BuildAndStart();
  if (server_ == nullptr || port == 0) {
    if (server_ != nullptr) server_->Shutdown();
    server_.reset();
    queue->Shutdown();
    void* event = nullptr;
    bool ok = false;
    while (queue->Next(&event, &ok)) continue;
    return fail(Errc::busy, fmt::format("cannot listen on {}", options_.listen_address));
  }
  address_ = options_.listen_address.substr(0, options_.listen_address.rfind(':') + 1) +
             std::to_string(port);
  loop_ = CompletionLoop::adopt(std::move(queue));
  loop_->unattended_begins();
  loop_->wait_until([this] { return live_count_.load() > 0; }, std::nullopt, nullptr,
                    [this] { loop_->run_soon([this] { accept_next(); }); });
  return {};
}

void GenericServer::add_local_socket(grpc::ServerBuilder& builder) {
  const std::filesystem::path path = local_socket_path(options_.listen_address);
  if (const auto ready = prepare_local_socket(path); !ready) {
    log_warn("rpc", "no local socket, clients on this machine use TCP: {}",
             ready.error().to_string());
    return;
  }
  builder.AddListeningPort("unix:" + path.string(), grpc::InsecureServerCredentials());
  local_socket_ = path.string();
}

void GenericServer::stop() {
  if (server_ == nullptr || stopping_.exchange(true)) return;
  loop_->run_soon([this] {
    for (const auto& stream : live_) stream->close({Errc::unavailable, "the server stops"});
  });
  server_->Shutdown(std::chrono::system_clock::now() + kShutdownPatience);
  loop_->wait_until([this] { return live_count_.load() == 0; }, std::nullopt, nullptr);
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
