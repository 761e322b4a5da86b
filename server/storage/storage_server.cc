#include "server/storage/storage_server.h"

#include <utility>
#include <vector>

#include "common/base/log.h"
#include "common/base/process.h"
#include "common/rpc/grpc_storage_client.h"
#include "server/storage/heartbeat.h"
#include "server/storage/posix_disk.h"
#include "server/storage/repairer.h"
#include "server/storage/scrubber.h"
#include "server/storage/repeater.h"
#include "server/storage/storage_service.h"
#include "server/storage/store_index.h"

namespace dfs::storage {
namespace {

using std::chrono::milliseconds;

// How often a store's new data is looked after.
constexpr milliseconds kCareInterval{200};
constexpr milliseconds kWatchInterval{500};
// With another storage server that repair copies from; a stop may wait for it.
constexpr milliseconds kPeerPatience{5'000};
// Tasks are small and what they hold is bounded by the byte budgets; this is
// only there so that nothing is without limit.
constexpr std::size_t kDiskQueueMax = 65536;

ChunkStoreOptions store_options(const StorageConfig& config) {
  ChunkStoreOptions options;
  options.segment_bytes = config.segment_bytes;
  options.open_segments_max = config.open_segments_max;
  options.reserved_bytes = config.reserved_bytes;
  options.uploads_max = config.uploads_max;
  options.upload_idle_max = std::chrono::duration_cast<std::chrono::seconds>(config.upload_idle_max);
  options.young_bytes_max = config.checkpoint_bytes;
  return options;
}

// Members in the order in which they are needed: what comes later uses what
// comes before.
class Server final : public StorageServer {
 public:
  Server(const StorageConfig& config, std::unique_ptr<ClusterClient> meta)
      : config_(config),
        meta_(std::move(meta)),
        disk_threads_({.name = "disk", .threads = config.disk_threads, .queue_max = kDiskQueueMax}),
        received_(make_budget(config.received_bytes_max)),
        sending_(make_budget(config.sending_bytes_max)),
        replicator_({.progress_timeout = config.forward_timeout}, clock_) {}
  ~Server() override { stop(); }

  Result<void> run() {
    stores_ = TRY(StoreSet::open(disk_, clock_,
                                 {.directories = config_.data_directories,
                                  .store = store_options(config_),
                                  .replace_missing = config_.replace_missing},
                                 open_store_index));
    context_ = std::make_unique<ServiceContext>(
        ServiceContext{.config = config_, .clock = clock_, .stores = *stores_,
                       .disk = disk_threads_, .replicator = replicator_, .received = received_,
                       .sending = sending_, .epochs = epochs_, .sessions = sessions_,
                       .metrics = metrics_});
    service_ = std::make_unique<StorageService>(*context_, [this] { return membership(); });
    StreamServer::Options options;
    options.listen_address = config_.listen_address;
    server_ = TRY(StreamServer::start(options, service_->streams(), service_->unary()));
    address_ = server_->address();
    start_heartbeat();
    start_care();
    start_repair();
    log_info("storage", "listening on {}", address_);
    return {};
  }

  Result<bool> wait_registered(milliseconds timeout) override {
    return heartbeat_->wait_registered(timeout);
  }

  void stop() override {
    repairing_.reset();
    beating_.reset();
    care_.clear();
    others_.reset();
    if (server_) server_->stop();
    replicator_.stop();
    received_->close();
    sending_->close();
    disk_threads_.stop();
    stores_.reset();  // what still waits for stable media is answered here
    server_.reset();
  }

  const std::string& address() const override { return address_; }

 private:
  std::shared_ptr<ByteBudget> make_budget(std::uint64_t limit) {
    return std::make_shared<ByteBudget>(limit, [this](std::function<void()> task) {
      // Refused only when the server stops, and then the streams are over.
      static_cast<void>(disk_threads_.submit(std::move(task)));
    });
  }

  std::optional<Membership> membership() const {
    const std::lock_guard lock(heartbeat_mutex_);
    return heartbeat_ ? heartbeat_->membership() : std::nullopt;
  }

  void learn(const GroupTable& table) {
    epochs_.learn(table);
    table_.with([&](auto& known) { known = std::make_shared<const GroupTable>(table); });
  }

  void start_heartbeat() {
    ServerFacts facts{.address = config_.advertised_address.empty() ? address_
                                                                    : config_.advertised_address,
                      .local_socket = server_->local_socket(),
                      .machine = machine_id(),
                      .labels = config_.labels,
                      .version = version()};
    facts.labels.try_emplace("host", host_name());
    {
      const std::lock_guard lock(heartbeat_mutex_);
      heartbeat_ = std::make_unique<Heartbeat>(
          *meta_, *stores_, std::move(facts), config_.retry_pause_max,
          Heartbeat::Listeners{
              .groups = [this](const GroupTable& table) { learn(table); },
              .sessions = [this](LiveSessionsPtr live) { sessions_.learn(std::move(live)); }});
    }
    beating_ = std::make_unique<Repeater>("heartbeat", [this] { return heartbeat_->step(); });
  }

  // The cluster's name is not said in greetings: it may not be known yet, and
  // who answers at a member's address must be that member.
  void start_repair() {
    StorageClientOptions options;
    options.progress_timeout = kPeerPatience;
    others_ = GrpcStoragePool::create(options, [this] { return table(); }, clock_);
    scrubber_ = std::make_unique<Scrubber>(*stores_, clock_, config_.scrub_bytes_per_second,
                                           static_cast<std::uint64_t>(clock_.wall()));
    repairer_ = std::make_unique<Repairer>(
        Repairer::Parts{.meta = *meta_, .stores = *stores_, .servers = *others_, .clock = clock_,
                        .membership = [this] { return membership(); },
                        .table = [this] { return table(); },
                        .damaged = [this] { return scrubber_->take_damaged(); }},
        config_.repair_bytes_per_second);
    repairing_ = std::make_unique<Repeater>("repair", [this] { return repairer_->step(); });
    care_.push_back(std::make_unique<Repeater>("scrubber", [this] { return scrubber_->step(); }));
  }

  GroupTablePtr table() const {
    return table_.with([](const auto& table) { return table; });
  }

  void start_care() {
    for (const auto& store : stores_->stores()) {
      care_.push_back(std::make_unique<Repeater>(
          "checkpoint", [this, &store = *store, care = Care{clock_.now()}]() mutable {
            care_for(store, care);
            return kCareInterval;
          }));
    }
    care_.push_back(std::make_unique<Repeater>("watch", [this] {
      replicator_.check_progress();
      publish_metrics();
      return kWatchInterval;
    }));
  }

  struct Care {
    SteadyTime last;  // when a checkpoint was begun
    bool fails = false;
  };

  void care_for(ChunkStore& store, Care& care) {
    if (store.problem()) return;
    store.start_writeback();
    if (!store.wants_checkpoint() && clock_.now() - care.last < config_.checkpoint_interval) return;
    care.last = clock_.now();
    // A failing disk has been logged by the store; anything else is tried again.
    const auto done = store.checkpoint();
    const bool fails = !done && !store.problem();
    if (fails && !care.fails)
      log_warn("storage", "{}: checkpoint, which is tried again: {}", store.directory().string(),
               done.error().to_string());
    if (care.fails && done) log_info("storage", "{}: checkpoints are made again", store.directory().string());
    care.fails = fails;
  }

  void publish_metrics() {
    const ChunkStore::Space space = stores_->space();
    metrics_.capacity_bytes.set(static_cast<double>(space.capacity));
    metrics_.available_bytes.set(static_cast<double>(space.available));
    metrics_.used_bytes.set(static_cast<double>(space.used));
    metrics_.chunks.set(static_cast<double>(space.chunks));
    metrics_.uploads.set(static_cast<double>(space.uploads));
    std::uint64_t corrupt = 0;
    for (const auto& store : stores_->stores()) corrupt += store->corrupt_reads();
    metrics_.corrupt_reads.set(static_cast<double>(corrupt));
    metrics_.disk_queue.set(static_cast<double>(disk_threads_.queued()));
    metrics_.received_bytes.set(static_cast<double>(received_->used()));
    metrics_.sending_bytes.set(static_cast<double>(sending_->used()));
  }

  const StorageConfig config_;
  const std::unique_ptr<ClusterClient> meta_;
  SystemClock clock_;
  PosixDisk disk_;
  StorageMetrics metrics_;
  GroupEpochs epochs_;
  SessionFence sessions_;
  Guarded<GroupTablePtr> table_;  // the newest
  Executor disk_threads_;
  const std::shared_ptr<ByteBudget> received_;
  const std::shared_ptr<ByteBudget> sending_;
  Replicator replicator_;
  std::unique_ptr<StoreSet> stores_;
  std::unique_ptr<ServiceContext> context_;
  std::unique_ptr<StorageService> service_;
  mutable std::mutex heartbeat_mutex_;  // guards the pointer: streams may come before it is set
  std::unique_ptr<Heartbeat> heartbeat_;
  std::unique_ptr<StreamServer> server_;
  std::string address_;
  std::vector<std::unique_ptr<Repeater>> care_;
  std::unique_ptr<Repeater> beating_;
  std::unique_ptr<GrpcStoragePool> others_;
  std::unique_ptr<Scrubber> scrubber_;
  std::unique_ptr<Repairer> repairer_;
  std::unique_ptr<Repeater> repairing_;
};

}  // namespace

Result<std::unique_ptr<StorageServer>> StorageServer::start(const StorageConfig& config) {
  return start(config, make_cluster_client(config.meta_address, config.meta_timeout));
}

Result<std::unique_ptr<StorageServer>> StorageServer::start(const StorageConfig& config,
                                                            std::unique_ptr<ClusterClient> meta) {
  TRY(config.validate());
  auto server = std::make_unique<Server>(config, std::move(meta));
  TRY(server->run());
  return server;
}

}  // namespace dfs::storage
