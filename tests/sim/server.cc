#include "tests/sim/server.h"

#include <optional>
#include <string>
#include <utility>

#include "server/meta/cluster/cluster_jobs.h"
#include "server/meta/meta_service.h"

namespace dfs::sim {
namespace {

// Storage servers of a simulation do not die, and say nothing either.
constexpr std::chrono::hours kForEver{1'000};

}  // namespace

Server::Server(const Clock& clock, const ServerOptions& options) : clock_(clock), options_(options) {
  config_.replicas = 1;
  config_.chunk_size = kChunkSizeMin;
  config_.sync_interval = kForEver;
  config_.server_silence_max = kForEver;
  config_.lease_time = options.lease_time;
  config_.session_timeout = options.session_timeout;
  start();
}

void Server::start() {
  log_ = std::make_unique<LocalMetaLog>(store_);
  auto core = Core::start(config_, clock_, store_, *log_, Core::Helper::none);
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
    std::optional<Result<RegisterResult>> answer;
    core_->run(make_register_job(std::move(args), [&](Result<RegisterResult> result) { answer = std::move(result); }));
    invariant(answer && *answer && (**answer).server == ServerId{number}, "storage servers get their numbers in order");
  }
}

void Server::tick() {
  while (core_->tick()) {
  }
}

void Server::restart() {
  factory_ = nullptr;
  core_.reset();
  start();
}

}  // namespace dfs::sim
