#include "server/meta/meta_server.h"

#include <utility>

#include "common/base/log.h"
#include "common/kv/rocksdb_store.h"
#include "server/meta/cluster_service.h"
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

  std::map<std::string, UnaryMethod> calls = cluster_service(*server->core_);
  calls.merge(server->backups_->methods());
  StreamServer::Options options;
  options.listen_address = settings.listen_address;
  options.streams_max = settings.sessions_max + settings.servers_max;
  server->server_ = TRY(StreamServer::start(
      options,
      {{kMetaSessionMethod,
        meta_service(*server->core_, {.outstanding_max = settings.outstanding_max})}},
      std::move(calls)));
  log_info("meta", "listening on {}", server->address());
  return server;
}

MetaServer::~MetaServer() { stop(); }

void MetaServer::stop() {
  if (server_ != nullptr) server_->stop();
  if (backups_ != nullptr) backups_->stop();
  if (core_ != nullptr) core_->stop();
}

}  // namespace dfs
