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

MountPoint::Options place_of(const MountOptions& options, const std::filesystem::path& directory) {
  MountPoint::Options where;
  where.directory = directory;
  where.source = "dfs#" + options.server;
  where.flags = options.flags;
  where.allow_other = options.allow_other;
  where.method = MountPoint::default_method();
  return where;
}

Result<std::unique_ptr<MountService>> MountService::start(const MountOptions& options,
                                                          const Mount& mount, MountMemory& memory,
                                                          WriteJournal* journal, StopSignals& stop) {
  std::unique_ptr<MountService> service(new MountService(memory, journal, stop));
  TRY(service->connect(options));
  TRY(service->attach(options, mount));
  service->listen_to_session();
  TRY(service->begin(options));
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

// Whoever waits for what a former process did not answer waits for the servers too.
Result<std::unique_ptr<MetaSession>> MountService::connect_to_meta(const MountOptions& options) {
  MetaSession::Options session;
  session.address = options.server;
  session.program = "dfs-mount";
  session.place = options.mount_point.native();
  session.cluster = options.cluster;
  session.soft_timeout = options.client.soft_timeout;
  session.connect_timeout = kConnectTimeout;
  session.wants_leases = options.client.leases;
  session.record = &memory_.session();
  session.operations = &memory_.operations();
  session.held = [this] {
    std::vector<InodeId> held;
    for (const HandleRecord& record : memory_.handles().former())
      if (record.kind == HandleRecord::file) held.emplace_back(record.inode);
    return held;
  };
  session.remembered = [this] {
    SessionEstate estate;
    estate.locks = memory_.locks().all();
    if (journal_ != nullptr) estate.leases.write = journal_->former_inodes();
    return estate;
  };
  for (;;) {
    auto connected = MetaSession::connect(session, SystemClock::instance());
    const bool may_pass = !connected && is_retryable(connected.error().code);
    if (connected || !may_pass || !memory_.has_former() || stop_.is_asked()) return connected;
    log_warn("fuse", "waiting for the servers: {}", connected.error().to_string());
  }
}

Result<void> MountService::connect(const MountOptions& options) {
  SystemClock& clock = SystemClock::instance();
  meta_ = TRY(connect_to_meta(options));

  StorageClientOptions storage;
  storage.cluster = meta_->cluster();
  if (options.local_reads) {
    storage.local_reader = std::make_shared<LocalReader>(LocalReader::Options{});
  }
  MetaSession& meta = *meta_;
  storage_ = GrpcStoragePool::create(
      std::move(storage), [&meta] { return meta.group_table(); }, clock);
  if (!options.journal.empty()) TRY(open_log(options));
  files_ =
      TRY(FileSystem::create(client_config(options), meta, *storage_, clock, journal_, log_.get()));
  files_->remember_locks(memory_.locks());
  if (log_) {
    log_->set_session(memory_.session());
    log_->settle_former();
  }
  return {};
}

void MountService::listen_to_session() {
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
  meta_->set_unsent([hooks] {
    return hooks->with(
        [](FileSystem* engine) { return engine != nullptr ? engine->at_risk() : UnsentBytes{}; });
  });
  meta_->set_on_new_session([this, hooks](SessionId) {
    if (log_) log_->set_session(memory_.session());
    hooks->with([](FileSystem* engine) {
      if (engine != nullptr) engine->session_replaced();
    });
  });
  meta_->set_lease_hooks(hooks_of_leases(hooks));
}

LeaseHooks MountService::hooks_of_leases(const EngineForHooks& hooks) {
  const auto tell = [hooks](const auto& what) {
    hooks->with([&](FileSystem* engine) {
      if (engine != nullptr) what(engine->lease_hooks());
    });
  };
  return {.adopted = [tell](const SessionEstate& estate) {
            tell([&](const LeaseHooks& known) { known.adopted(estate); });
          },
          .claims =
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

Result<void> MountService::attach(const MountOptions& options, const Mount& mount) {
  MountPoint point = TRY(mount());
  point_.emplace(std::move(point));
  SessionConfig config = options.session;
  config.names_are_known = options.client.leases;
  session_ = TRY(Session::create(config, point_->take_device(), *files_, SystemClock::instance(),
                                 memory_));
  return {};
}

// Before any request is served: then a file that ends behind the place of an append was
// written there by it.
Result<void> MountService::catch_up() {
  TRY(files_->catch_up(context(stop_.impatience())));
  for (const auto& [operation, note] : memory_.operations().notes()) {
    const auto known =
        files_->get_attributes(InodeId{note.inode}, context(stop_.impatience()));
    if (!known || known->size <= note.offset) memory_.operations().drop_note(operation);
  }
  return {};
}

Result<void> MountService::begin(const MountOptions& options) {
  const bool goes_on = memory_.has_former();
  if (goes_on) TRY(catch_up());
  // What statfs answers once the server is silent, which umount(8) waits for.
  TRY(files_->stat_fs({}));
  session_->start();
  watcher_ = std::thread([this] {
    session_->wait();
    stop_.unmounted();
  });
  const std::string& directory = point_->directory().native();
  if (goes_on) {
    log_info("fuse", "goes on with cluster {} at {}, where {} files and directories are open",
             meta_->cluster(), directory, memory_.handles().former().size());
    return {};
  }

  struct stat root {};
  if (::stat(directory.c_str(), &root) != 0) {
    return fail_errno(errno, directory + " does not answer");
  }
  if (auto set = point_->set_read_ahead(options.session.read_ahead_bytes); !set) {
    // Only root may; the mount works without.
    log_info("fuse", "the kernel keeps its own read-ahead: {}", set.error().text);
  }
  log_info("fuse", "mounted cluster {} of {} at {}", meta_->cluster(), options.server, directory);
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
  if (log_) log_->end();
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
