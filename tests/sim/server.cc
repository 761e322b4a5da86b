#include "tests/sim/server.h"

#include <future>
#include <string>
#include <utility>

#include "server/meta/cluster/cluster_jobs.h"
#include "server/meta/meta_service.h"

namespace dfs::sim {
namespace {

// Storage servers of a simulation do not die, and say nothing either.
constexpr std::chrono::hours kForEver{1'000};
// In a cluster lists are compared once a day, which is longer than a run.
constexpr std::chrono::milliseconds kComparePause{200};
constexpr std::chrono::milliseconds kCompareInterval{10'000};

}  // namespace

Server::Server(const Clock& clock, const ServerOptions& options) : clock_(clock), options_(options) {
  config_.replicas = options.replicas;
  config_.chunk_size = kChunkSizeMin;
  if (options.storage_servers > 0) {
    config_.sync_interval = kForEver;
    config_.server_silence_max = kForEver;
  } else {
    config_.heartbeat_interval = options.heartbeat_interval;
    config_.server_silence_max = options.server_silence_max;
    config_.server_out_after = options.server_out_after;
    config_.compare_pause = kComparePause;
    config_.compare_interval = kCompareInterval;
  }
  config_.lease_time = options.lease_time;
  config_.session_timeout = options.session_timeout;
  start();
}

void Server::start() {
  store_ = std::make_unique<BorrowedKvStore>(rows_);
  log_ = std::make_unique<LocalMetaLog>(*store_);
  auto core = Core::start(config_, clock_, *store_, *log_, Core::Helper::none);
  invariant(core.has_value(), "the server starts on what it has made durable");
  core_ = *std::move(core);
  factory_ = meta_service(*core_, {.outstanding_max = config_.outstanding_max});
  register_storage();
}

void Server::register_storage() {
  for (std::uint32_t number = 1; number <= options_.storage_servers; ++number) {
    RegisterArgs args;
    args.identity = "storage " + std::to_string(number);
    args.address = "127.0.0.1:" + std::to_string(7400 + number);
    args.capacity = 100 * GiB;
    args.available = 50 * GiB;
    std::promise<Result<RegisterResult>> answered;
    core_->run(make_register_job(std::move(args),
                                 [&](Result<RegisterResult> result) { answered.set_value(std::move(result)); }));
    const Result<RegisterResult> answer = answered.get_future().get();
    invariant(answer && answer->server == ServerId{number}, "storage servers get their numbers in order");
  }
}

void Server::tick() {
  while (core_->tick()) {
  }
}

void Server::restart(Death death) {
  store_->cut_off();
  factory_ = nullptr;
  core_.reset();
  log_.reset();
  if (death == Death::power) rows_.lose_power();
  start();
}

}  // namespace dfs::sim
