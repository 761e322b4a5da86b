#include "server/meta/meta_server.h"

#include <map>
#include <utility>

#include "common/base/log.h"
#include "common/kv/rocksdb_store.h"
#include "server/meta/cluster_service.h"
#include "server/meta/fsck_service.h"
#include "server/meta/meta_service.h"

namespace dfs {
namespace {

// A cluster is made for good, so not by a start that fails on its port.
Result<void> check_can_listen(const std::string& address) {
  StreamServer::Options options;
  options.listen_address = address;
  options.local_socket = false;
  (void)TRY(StreamServer::start(options, {}));
  return {};
}

}  // namespace

Result<std::unique_ptr<MetaServer>> MetaServer::start(MetaConfig config) {
  TRY(config.validate());
  DataDirectory directory = TRY(DataDirectory::open(config.data_directory));
  if (directory.is_new()) TRY(check_can_listen(config.listen_address));
  std::unique_ptr<MetaServer> server(new MetaServer(std::move(config), std::move(directory)));
  const MetaConfig& settings = server->config_;

  RocksDbConfig store_config;
  store_config.block_cache_bytes = static_cast<std::size_t>(settings.block_cache_bytes);
  server->store_ = TRY(open_rocksdb(server->directory_.store(), store_config));
  server->log_ = std::make_unique<LocalMetaLog>(*server->store_);
  server->core_ = TRY(Core::start(settings, SystemClock::instance(), *server->store_,
                                  *server->log_, Core::Helper::thread));

  server->backups_ =
      std::make_unique<BackupService>(*server->store_, SystemClock::instance());
  server->mender_ = std::make_unique<fsck::CoreMender>(*server->core_);
  server->checks_ = std::make_unique<fsck::Desk>(*server->store_, *server->mender_,
                                                 SystemClock::instance(), fsck::DeskOptions{});
  server->check_calls_ =
      std::make_unique<Executor>(Executor::Options{.name = "meta-check", .threads = 2, .queue_max = 16});

  std::map<std::string, UnaryMethod> methods = cluster_service(*server->core_);
  methods.merge(fsck_service(*server->checks_, *server->store_, *server->check_calls_));
  methods.merge(server->backups_->methods());
  StreamServer::Options options;
  options.listen_address = settings.listen_address;
  options.streams_max = settings.sessions_max + settings.servers_max;
  server->server_ = TRY(StreamServer::start(
      options,
      {{kMetaSessionMethod,
        meta_service(*server->core_, {.outstanding_max = settings.outstanding_max})}},
      std::move(methods)));
  log_info("meta", "listening on {}", server->address());
  return server;
}

MetaServer::~MetaServer() { stop(); }

void MetaServer::stop() {
  // Calls that wait for a check are answered before their connections end.
  if (checks_ != nullptr) checks_->stop();
  if (check_calls_ != nullptr) check_calls_->stop();
  if (server_ != nullptr) server_->stop();
  if (backups_ != nullptr) backups_->stop();
  if (core_ != nullptr) core_->stop();
}

}  // namespace dfs
