// dfs-mount: mounts a dfs file system and serves it.
#include <cstdio>
#include <optional>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/base/process.h"
#include "common/rpc/channels.h"
#include "fuse/background.h"
#include "fuse/command_line.h"
#include "fuse/mount_service.h"

namespace dfs::fuse {
namespace {

constexpr const char* kLogFileInBackground = "/var/log/dfs-mount.log";

// Who is told whether the mount came up.
struct Audience {
  std::optional<Background> background;
  int ready_fd = -1;

  Result<void> succeeded() {
    TRY(announce_ready(ready_fd));
    if (background) {
      TRY(background->succeeded());
    }
    return {};
  }
  void failed(const Error& error) {
    const std::string line = "dfs-mount: " + (error.text.empty() ? error.to_string() : error.text);
    if (background) return background->failed(line);
    std::fprintf(stderr, "%s\n", line.c_str());
  }
};

Result<void> start_logging(const MountOptions& options) {
  LogConfig log = options.log;
  // In the background nobody reads stderr.
  if (!options.foreground && log.file.empty() && ::geteuid() == 0) log.file = kLogFileInBackground;
  return init_logging("dfs-mount", log);
}

Result<void> mount_and_serve(const MountOptions& options, const std::filesystem::path& directory,
                             Audience& audience) {
  tune_malloc();
  StopSignals::block();
  prepare_grpc();
  TRY(start_logging(options));
  TRY(raise_descriptor_limit());
  StopSignals stop;
  std::unique_ptr<MetricsServer> metrics_page;
  if (!options.metrics_address.empty()) {
    metrics_page = TRY(MetricsServer::start(options.metrics_address));
  }
  auto service = TRY(MountService::start(options, directory, stop));
  TRY(audience.succeeded());
  const Result<void> served = service->serve();
  if (!served) log_error("fuse", "{}", served.error().to_string());
  return served;
}

Result<void> run(const MountOptions& options, Audience& audience) {
  const std::filesystem::path directory = TRY(MountPoint::prepare(options.mount_point));
  if (options.pretend) return {};
  if (!options.foreground) audience.background = TRY(Background::enter());
  audience.ready_fd = options.ready_fd;
  return mount_and_serve(options, directory, audience);
}

}  // namespace
}  // namespace dfs::fuse

int main(int argc, char** argv) {
  auto parsed = dfs::fuse::parse_command_line(argc, argv);
  if (const int* status = std::get_if<int>(&parsed)) return *status;
  dfs::fuse::Audience audience;
  const auto done = dfs::fuse::run(std::get<dfs::fuse::MountOptions>(parsed), audience);
  dfs::flush_logs();
  if (done) return EXIT_SUCCESS;
  audience.failed(done.error());
  return EXIT_FAILURE;
}
