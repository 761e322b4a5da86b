#include "fuse/mount_service.h"

#include <cerrno>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "common/base/log.h"

namespace dfs::fuse {
namespace {

// A server that is being restarted is waited for this long before the mount
// is given up.
constexpr std::chrono::seconds kConnectTimeout{3};

}  // namespace

Result<std::unique_ptr<MountService>> MountService::start(const MountOptions& options,
                                                          const std::filesystem::path& directory,
                                                          StopSignals& stop) {
  std::unique_ptr<MountService> service(new MountService(stop));
  TRY(service->connect(options));
  TRY(service->mount(options, directory));
  return service;
}

MountService::~MountService() {
  if (session_) {
    session_->stop();
    session_->interrupt_all();
  }
  if (watcher_.joinable()) watcher_.join();
  session_.reset();
  engine_for_hooks_->with([](FileSystem*& engine) { engine = nullptr; });
  // Answers that the engine still waits for come now, as errors, if the server
  // is away: the engine's end must not wait for it.
  if (meta_) meta_->end();
}

Result<void> MountService::connect(const MountOptions& options) {
  SystemClock& clock = SystemClock::instance();
  MetaSession::Options session;
  session.address = options.server;
  session.program = "dfs-mount";
  session.place = options.mount_point.native();
  session.cluster = options.cluster;
  session.soft_timeout = options.client.soft_timeout;
  session.connect_timeout = kConnectTimeout;
  meta_ = TRY(MetaSession::connect(std::move(session), clock));

  StorageClientOptions storage;
  storage.cluster = meta_->cluster();
  if (options.local_reads) {
    storage.local_reader = std::make_shared<LocalReader>(LocalReader::Options{});
  }
  MetaSession& meta = *meta_;
  storage_ = GrpcStoragePool::create(
      std::move(storage), [&meta] { return meta.group_table(); }, clock);
  files_ = TRY(FileSystem::create(options.client, meta, *storage_, clock));

  engine_for_hooks_->with([&](FileSystem*& engine) { engine = files_.get(); });
  const EngineForHooks hooks = engine_for_hooks_;
  meta_->set_held([hooks] {
    return hooks->with([](FileSystem* engine) {
      return engine != nullptr ? engine->held_inodes() : std::vector<InodeId>{};
    });
  });
  meta_->set_on_new_session([hooks](SessionId) {
    hooks->with([](FileSystem* engine) {
      if (engine != nullptr) engine->session_replaced();
    });
  });
  return {};
}

Result<void> MountService::mount(const MountOptions& options,
                                 const std::filesystem::path& directory) {
  MountPoint::Options where;
  where.directory = directory;
  where.source = "dfs#" + options.server;
  where.flags = options.flags;
  where.allow_other = options.allow_other;
  where.method = MountPoint::default_method();
  MountPoint point = TRY(MountPoint::mount(where));
  point_.emplace(std::move(point));
  session_ = TRY(Session::create(options.session, point_->take_device(), *files_,
                                 SystemClock::instance()));
  session_->start();
  watcher_ = std::thread([this] {
    session_->wait();
    stop_.unmounted();
  });

  struct stat root {};
  if (::stat(directory.c_str(), &root) != 0) {
    return fail_errno(errno, directory.native() + " does not answer");
  }
  if (auto set = point_->set_read_ahead(options.session.read_ahead_bytes); !set) {
    // Only root may; the mount works without.
    log_info("fuse", "the kernel keeps its own read-ahead: {}", set.error().text);
  }
  log_info("fuse", "mounted cluster {} of {} at {}", meta_->cluster(), options.server,
           directory.native());
  return {};
}

Result<void> MountService::serve() {
  if (stop_.wait() == StopSignals::Cause::unmounted) {
    log_info("fuse", "{} has been unmounted", point_->directory().native());
    point_->forget();
    return write_back();
  }
  log_info("fuse", "asked to end; writing back and unmounting {}", point_->directory().native());
  TRY(write_back());
  if (point_->unmount() == MountPoint::Left::still_in_use) {
    TRY(write_back());  // what was written since
  }
  return {};
}

Result<void> MountService::write_back() {
  CallContext context;
  context.caller = {::getuid(), ::getgid()};
  context.interrupt = &stop_.impatience();
  const Result<void> written = files_->sync(context);
  if (written) return {};
  return fail(written.error().code,
              fmt::format("what was written last may be lost: {}", written.error().to_string()));
}

}  // namespace dfs::fuse
