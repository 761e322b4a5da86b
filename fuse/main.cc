// dfs-mount: mounts a dfs file system and serves it.
//
// Usually as two processes: a supervisor, whom people know, and a worker, which does
// the work and may be replaced (supervisor/supervisor.h).
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <optional>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/base/process.h"
#include "common/rpc/channels.h"
#include "fuse/background.h"
#include "fuse/command_line.h"
#include "fuse/mount_service.h"
#include "fuse/supervisor/supervisor.h"
#include "fuse/supervisor/worker_link.h"

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

// A mount that goes on is worth more than its figures: the port may still be that of a
// former process.
Result<std::unique_ptr<MetricsServer>> start_metrics(const MountOptions& options, bool goes_on) {
  if (options.metrics_address.empty()) return nullptr;
  auto page = MetricsServer::start(options.metrics_address);
  if (page || !goes_on) return page;
  log_warn("fuse", "no metrics until the mount is upgraded: {}", page.error().to_string());
  return nullptr;
}

// `succeeded(service)` is told when the mount answers.
template <typename Succeeded>
Result<void> serve(const MountOptions& options, const MountService::Mount& mount,
                   MountMemory& memory, WriteJournal* journal, const Succeeded& succeeded) {
  tune_malloc();
  StopSignals::block();
  prepare_grpc();
  TRY(start_logging(options));
  TRY(raise_descriptor_limit());
  StopSignals stop;
  const auto metrics_page = TRY(start_metrics(options, memory.has_former()));
  auto service = TRY(MountService::start(options, mount, memory, journal, stop));
  TRY(succeeded(*service));
  const Result<void> served = service->serve();
  if (!served) log_error("fuse", "{}", served.error().to_string());
  return served;
}

// --- one process ---------------------------------------------------------------------

Result<void> serve_alone(const MountOptions& options, const std::filesystem::path& directory,
                         Audience& audience) {
  const std::unique_ptr<MountMemory> memory = TRY(MountMemory::create());
  const auto mount = [&] { return MountPoint::mount(place_of(options, directory)); };
  return serve(options, mount, *memory, nullptr,
               [&](MountService&) { return audience.succeeded(); });
}

// --- two -----------------------------------------------------------------------------

Result<int> supervise(const MountOptions& options, const std::filesystem::path& directory,
                      Invocation invocation, Audience& audience) {
  TRY(start_logging(options));
  // Ours to write to, nobody else's.
  if (options.ready_fd >= 0) ::fcntl(options.ready_fd, F_SETFD, FD_CLOEXEC);
  Supervisor supervisor = TRY(Supervisor::create(
      {.invocation = std::move(invocation),
       .directory = directory,
       .mount = [&] { return MountPoint::mount(place_of(options, directory)); },
       .succeeded = [&] { return audience.succeeded(); }}));
  return supervisor.run();
}

Result<MountPoint> ask_for_device(const MountOptions& options, const WorkerPapers& papers,
                                  WorkerLink& link) {
  TRY(link.send(WorkerWord::wants_device));
  std::optional<WorkerMessage> answer = TRY(link.receive());
  if (!answer) return fail(Errc::io, "the supervisor is gone");
  if (!answer->descriptor) return fail(Errc::io, answer->text);
  return MountPoint::adopt(place_of(options, papers.directory), std::move(answer->descriptor));
}

Result<void> serve_as_worker(const MountOptions& options, WorkerPapers& papers, WorkerLink& link) {
  LastingMemory lasting = TRY(LastingMemory::open(std::move(papers.memory)));
  const std::unique_ptr<MountMemory> memory = TRY(MountMemory::open(lasting));
  const std::unique_ptr<WriteJournal> journal =
      TRY(WriteJournal::open(lasting, options.client.write_buffer_bytes));
  const auto mount = [&] { return ask_for_device(options, papers, link); };
  const auto succeeded = [&](const MountService& service) -> Result<void> {
    if (!options.foreground) TRY(leave_terminal());
    if (!service.can_be_replaced())
      log_warn("fuse", "this kernel cannot ask again what a process did not answer: if this one "
                       "is killed, the mount ends");
    return link.send(service.can_be_replaced() ? WorkerWord::ready : WorkerWord::ready_alone,
                     version());
  };
  return serve(options, mount, *memory, journal.get(), succeeded);
}

int be_worker(const MountOptions& options, WorkerPapers papers) {
  WorkerLink link(std::move(papers.link));
  const Result<void> done = serve_as_worker(options, papers, link);
  flush_logs();
  if (done) return EXIT_SUCCESS;
  const Error& error = done.error();
  static_cast<void>(
      link.send(WorkerWord::failed, error.text.empty() ? error.to_string() : error.text));
  return EXIT_FAILURE;
}

Result<int> run(const MountOptions& options, Invocation invocation, Audience& audience) {
  const std::filesystem::path directory = TRY(MountPoint::prepare(options.mount_point));
  if (options.pretend) return EXIT_SUCCESS;
  if (!options.foreground) audience.background = TRY(Background::enter());
  audience.ready_fd = options.ready_fd;
  if (options.supervised) return supervise(options, directory, std::move(invocation), audience);
  TRY(serve_alone(options, directory, audience));
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace dfs::fuse

int main(int argc, char** argv) {
  using namespace dfs::fuse;
  auto papers = WorkerPapers::take();
  auto parsed = parse_command_line(argc, argv);
  if (const int* status = std::get_if<int>(&parsed)) return *status;
  const auto& options = std::get<MountOptions>(parsed);
  if (papers) return be_worker(options, *std::move(papers));

  Audience audience;
  const auto done = [&]() -> dfs::Result<int> {
    Invocation invocation = TRY(Invocation::of_this_process(argc, argv));
    return run(options, std::move(invocation), audience);
  }();
  dfs::flush_logs();
  if (done) return *done;
  audience.failed(done.error());
  return EXIT_FAILURE;
}
