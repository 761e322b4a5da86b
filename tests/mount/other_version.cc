// Peers that speak the next version of the protocol, for the programs to meet:
//
//   dfs-other-version refusing            a metadata server that refuses ours
//   dfs-other-version welcoming           one that takes anybody
//   dfs-other-version storage HOST:PORT   a storage server of that cluster,
//                                         replaced after it had registered
//
// Prints where it listens, and serves until its standard input ends.
#include <unistd.h>

#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "common/base/ids.h"
#include "common/rpc/channels.h"
#include "common/rpc/cluster_client.h"
#include "common/rpc/convert.h"
#include "common/rpc/frame.h"
#include "common/rpc/handler.h"
#include "common/rpc/protocol.h"
#include "common/rpc/stream_server.h"
#include "dfs/v1/cluster.pb.h"
#include "dfs/v1/meta.pb.h"
#include "dfs/v1/storage.pb.h"

namespace dfs {
namespace {

constexpr std::uint32_t kTheirVersion = kProtocolVersion + 1;
constexpr const char* kCluster = "another-time";

enum class Manners { refusing, welcoming };

Error refusal(std::string_view who, std::uint32_t version) {
  return {Errc::wrong_version, fmt::format("the {} speaks version {} of the protocol, the metadata "
                                           "server version {}",
                                           who, version, kTheirVersion)};
}

// Answers the first frame, which is a hello, and says nothing after that.
class Session final : public StreamHandler {
 public:
  Session(std::shared_ptr<StreamPeer> peer, Manners manners)
      : peer_(std::move(peer)), manners_(manners) {}

  Reading on_message(grpc::ByteBuffer message) override {
    v1::ClientFrame frame;
    v1::ServerFrame answer;
    if (!parse_message(message, frame) || !frame.has_hello()) return Reading::go_on;
    if (manners_ == Manners::refusing) {
      const Error why = refusal("client", frame.hello().protocol_version());
      to_proto(why, *answer.mutable_error());
      peer_->send(serialize_message(answer));
      peer_->close(why);
      return Reading::pause;
    }
    v1::Welcome& welcome = *answer.mutable_welcome();
    welcome.set_cluster(kCluster);
    welcome.set_session(1);
    welcome.set_session_epoch(1);
    welcome.set_chunk_size(kChunkSizeDefault);
    welcome.mutable_group_table()->set_version(1);
    welcome.set_protocol_version(kTheirVersion);
    peer_->send(serialize_message(answer));
    return Reading::go_on;
  }
  void on_end() override {}

 private:
  const std::shared_ptr<StreamPeer> peer_;
  const Manners manners_;
};

Result<v1::RegisterResponse> register_server(Manners manners, const v1::RegisterRequest& request) {
  if (manners == Manners::refusing)
    return fail(refusal("storage server", request.protocol_version()));
  v1::RegisterResponse response;
  response.set_cluster(kCluster);
  response.set_server(1);
  response.set_heartbeat_interval_ms(1000);
  response.mutable_group_table()->set_version(1);
  response.set_protocol_version(kTheirVersion);
  return response;
}

Result<std::unique_ptr<StreamServer>> meta_server(Manners manners) {
  return StreamServer::start(
      {.listen_address = "127.0.0.1:0"},
      {{"/dfs.v1.MetaService/Session",
        [manners](std::shared_ptr<StreamPeer> peer) {
          return std::make_unique<Session>(std::move(peer), manners);
        }}},
      {{"/dfs.v1.ClusterService/Register",
        inline_unary_method<v1::RegisterRequest, v1::RegisterResponse>(
            [manners](const v1::RegisterRequest& request) {
              return register_server(manners, request);
            })}});
}

Result<std::unique_ptr<StreamServer>> storage_server(const std::string& meta) {
  const auto membership = std::make_shared<RegisterResult>();
  auto server = TRY(StreamServer::start(
      {.listen_address = "127.0.0.1:0"}, {},
      {{"/dfs.v1.StorageService/Identify",
        inline_unary_method<v1::IdentifyRequest, v1::IdentifyResponse>(
            [membership](const v1::IdentifyRequest&) -> Result<v1::IdentifyResponse> {
              v1::IdentifyResponse response;
              response.set_cluster(membership->cluster);
              response.set_server(membership->server.value());
              response.set_protocol_version(kTheirVersion);
              return response;
            })}}));
  RegisterArgs args;
  args.identity = "of another version";
  args.address = server->address();
  args.capacity = args.available = 100 * GiB;
  *membership = TRY(make_cluster_client(meta)->register_server(args));
  return server;
}

Result<void> serve(int argc, char** argv) {
  const std::string_view role = argc > 1 ? argv[1] : "";
  std::unique_ptr<StreamServer> server;
  if (role == "refusing") server = TRY(meta_server(Manners::refusing));
  if (role == "welcoming") server = TRY(meta_server(Manners::welcoming));
  if (role == "storage" && argc > 2) server = TRY(storage_server(argv[2]));
  if (server == nullptr) return fail(Errc::invalid, "refusing, welcoming, or storage HOST:PORT");
  std::printf("%s\n", server->address().c_str());
  std::fflush(stdout);
  char byte = 0;
  while (::read(STDIN_FILENO, &byte, 1) > 0) {
  }
  return {};
}

}  // namespace
}  // namespace dfs

int main(int argc, char** argv) {
  dfs::prepare_grpc();
  const auto done = dfs::serve(argc, argv);
  if (!done) std::fprintf(stderr, "dfs-other-version: %s\n", done.error().to_string().c_str());
  return done ? 0 : 1;
}
