#include "fuse/cli/connection.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "common/base/address.h"
#include "common/rpc/grpc_storage_client.h"
#include "common/rpc/meta_session.h"
#include "fuse/cli/local/cluster_plan.h"

namespace dfs::cli {

namespace {

// A person waits: nobody there is said soon, a server that restarts is waited for.
constexpr std::chrono::seconds kConnectLimit{3};

class SessionConnection final : public Connection {
 public:
  static Result<std::unique_ptr<Connection>> open(const std::string& address,
                                                  std::chrono::milliseconds limit) {
    SystemClock& clock = SystemClock::instance();
    auto connection = std::make_unique<SessionConnection>();

    MetaSession::Options session;
    session.address = address;
    session.program = "dfs";
    session.place = "command line";
    session.soft_timeout = limit;
    session.connect_timeout = std::min<std::chrono::milliseconds>(limit, kConnectLimit);
    connection->meta_ = TRY(MetaSession::connect(std::move(session), clock));

    MetaSession& meta = *connection->meta_;
    StorageClientOptions storage;
    storage.cluster = meta.cluster();
    storage.local_reader = std::make_shared<LocalReader>(LocalReader::Options{});
    connection->storage_ = GrpcStoragePool::create(
        std::move(storage), [&meta] { return meta.group_table(); }, clock);

    ClientConfig config;
    config.soft_timeout = limit;
    connection->files_ = TRY(FileSystem::create(config, meta, *connection->storage_, clock));
    return connection;
  }

  MetaClient& meta() override { return *meta_; }
  StoragePool& storage() override { return *storage_; }
  FileSystem& files() override { return *files_; }
  CallContext context() const override {
    return {.caller = {.uid = ::geteuid(), .gid = ::getegid()}, .interrupt = nullptr};
  }

 private:
  // Ended in the opposite order.
  std::unique_ptr<MetaSession> meta_;
  std::unique_ptr<GrpcStoragePool> storage_;
  std::unique_ptr<FileSystem> files_;
};

Result<std::string> address_of_cluster(const std::filesystem::path& directory) {
  const std::filesystem::path settled = TRY(settled_path(directory));
  const ClusterState state = TRY(load_cluster(settled));
  return state.meta_address();
}

}  // namespace

void add_connect_options(CLI::App& command, ConnectOptions& options) {
  command.add_option("--meta", options.meta, "HOST:PORT of the metadata server (or DFS_META)")
      ->group("Connection");
  command.add_option("--dir", options.directory, "Directory of a local cluster to talk to instead")
      ->group("Connection");
  command.add_option("--timeout", options.timeout_s, "Seconds without an answer that are an error")
      ->check(CLI::Range(1, 86400))
      ->capture_default_str()
      ->group("Connection");
}

Result<std::string> find_meta_address(const ConnectOptions& options) {
  if (!options.meta.empty() && !options.directory.empty())
    return fail(Errc::invalid, "--meta and --dir both say where the metadata server is: give one");
  std::string address = options.meta;
  if (address.empty() && !options.directory.empty()) address = TRY(address_of_cluster(options.directory));
  if (address.empty()) {
    const char* from_environment = std::getenv("DFS_META");
    if (from_environment != nullptr) address = from_environment;
  }
  if (address.empty()) {
    auto local = address_of_cluster(kLocalDirectoryDefault);
    if (!local && local.error().code != Errc::not_found) return local;
    if (!local)
      return fail(Errc::invalid, fmt::format("which cluster? Give --meta HOST:PORT or --dir DIR, or set "
                                             "DFS_META; there is none in {}", kLocalDirectoryDefault));
    address = *std::move(local);
  }
  TRY(parse_address(address));
  return address;
}

Result<std::unique_ptr<Connection>> Connection::open(const ConnectOptions& options) {
  const std::string address = TRY(find_meta_address(options));
  return SessionConnection::open(address, std::chrono::seconds(options.timeout_s));
}

}  // namespace dfs::cli
