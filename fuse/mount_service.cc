#include "fuse/mount_service.h"

#include <algorithm>
#include <cerrno>
#include <fmt/format.h>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "common/base/config_file.h"
#include "common/base/log.h"
#include "common/rpc/time_limit.h"

namespace dfs::fuse {
namespace {

// A server that is being restarted is waited for this long before the mount
// is given up.
constexpr std::chrono::seconds kConnectTimeout{3};
// A server that is there takes some milliseconds.
constexpr std::chrono::seconds kStableTimeout{3};
constexpr std::size_t kInodesNamedMax = 8;

// What may be lost, so that people can look for it (find -inum).
std::string describe(const FileSystem::Unsent& unsent) {
  if (unsent.files.empty()) return "what was written last";
  const std::size_t named = std::min(unsent.files.size(), kInodesNamedMax);
  std::string inodes;
  for (std::size_t at = 0; at < named; ++at)
    inodes += fmt::format("{}{}", at > 0 ? ", " : "", unsent.files[at].value());
  if (named < unsent.files.size()) inodes += ", ...";
  return fmt::format("{} written to {} {} (inode {})", format_size(unsent.bytes),
                     unsent.files.size(), unsent.files.size() == 1 ? "file" : "files", inodes);
}

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
  session.wants_leases = options.client.leases;
  meta_ = TRY(MetaSession::connect(std::move(session), clock));

  StorageClientOptions storage;
  storage.cluster = meta_->cluster();
  if (options.local_reads) {
    storage.local_reader = std::make_shared<LocalReader>(LocalReader::Options{});
  }
  MetaSession& meta = *meta_;
  storage_ = GrpcStoragePool::create(
      std::move(storage), [&meta] { return meta.group_table(); }, clock);
  files_ = TRY(FileSystem::create(client_config(options), meta, *storage_, clock));

  engine_for_hooks_->with([&](FileSystem*& engine) { engine = files_.get(); });
  const EngineForHooks hooks = engine_for_hooks_;
  meta_->set_held([hooks] {
    return hooks->with([](FileSystem* engine) {
      return engine != nullptr ? engine->held_inodes() : std::vector<InodeId>{};
    });
  });
  meta_->set_locks([hooks] {
    return hooks->with([](FileSystem* engine) {
      return engine != nullptr ? engine->held_locks() : std::vector<HeldLock>{};
    });
  });
  if (options.client.leases) meta_->set_lease_hooks(hooks_of_leases(hooks));
  meta_->set_on_new_session([hooks](SessionId) {
    hooks->with([](FileSystem* engine) {
      if (engine != nullptr) engine->session_replaced();
    });
  });
  return {};
}

LeaseHooks MountService::hooks_of_leases(const EngineForHooks& hooks) {
  const auto tell = [hooks](const auto& what) {
    hooks->with([&](FileSystem* engine) {
      if (engine != nullptr) what(engine->lease_hooks());
    });
  };
  return {.claims =
              [hooks] {
                return hooks->with([](FileSystem* engine) {
                  return engine != nullptr ? engine->lease_hooks().claims() : LeaseClaims{};
                });
              },
          .welcomed = [tell](const LeaseTerms& terms) {
            tell([&](const LeaseHooks& known) { known.welcomed(terms); });
          },
          .recalled = [tell](const LeaseRecall& recall) {
            tell([&](const LeaseHooks& known) { known.recalled(recall); });
          },
          .confirmed = [tell](SteadyTime asked) {
            tell([&](const LeaseHooks& known) { known.confirmed(asked); });
          }};
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
  SessionConfig config = options.session;
  config.names_are_known = options.client.leases;
  session_ = TRY(Session::create(config, point_->take_device(), *files_,
                                 SystemClock::instance()));
  // What statfs answers once the server is silent, which umount(8) waits for.
  TRY(files_->stat_fs({}));
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
    TRY(write_back());
  } else {
    log_info("fuse", "asked to end; writing back and unmounting {}", point_->directory().native());
    TRY(write_back());
    if (point_->unmount() == MountPoint::Left::still_in_use) {
      TRY(write_back());  // what was written since
    }
  }
  make_stable();
  return {};
}

CallContext MountService::context(Interrupt& interrupt) {
  return {.caller = {::getuid(), ::getgid()}, .interrupt = &interrupt};
}

Result<void> MountService::write_back() {
  const Result<void> written = files_->write_back(context(stop_.impatience()));
  if (written) return {};
  return fail(written.error().code, fmt::format("{} may be lost: {}", describe(files_->unsent()),
                                                written.error().to_string()));
}

// The servers have everything; what power loss could take from them is theirs
// to shorten, whoever waits. So a server that is away is not waited for.
void MountService::make_stable() {
  TimeLimit limit(kStableTimeout);
  const Result<void> stable = files_->sync(context(limit.interrupt()));
  if (stable) return;
  log_warn("fuse", "the metadata server does not say that what it took last is on its disk: {}",
           stable.error().to_string());
}

}  // namespace dfs::fuse
