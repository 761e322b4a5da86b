// The journal of a mount: opened, and what a former mount has left in it sent, before this
// one serves anything.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fmt/format.h>
#include <thread>

#include "common/base/config_file.h"
#include "common/base/log.h"
#include "common/client/write_log_recovery.h"
#include "fuse/mount_service.h"

namespace dfs::fuse {
namespace {

// A process that was killed lets go of the directory when it is gone.
constexpr std::chrono::seconds kLockTimeout{10};
constexpr std::chrono::milliseconds kLockPause{20};
constexpr std::chrono::seconds kConnectTimeout{3};
// Overwriting the same bytes again and again adds to the journal and not to the buffer.
constexpr std::uint64_t kBuffersMost = 4;
constexpr std::uint64_t kSegmentsLeast = 4;

Result<std::unique_ptr<WriteLog>> open_once_free(const WriteLog::Options& options) {
  const auto until = std::chrono::steady_clock::now() + kLockTimeout;
  for (;;) {
    auto opened = WriteLog::open(options);
    const bool may_pass = !opened && opened.error().code == Errc::busy;
    if (!may_pass || std::chrono::steady_clock::now() >= until) return opened;
    std::this_thread::sleep_for(kLockPause);
  }
}

MetaSession::Options session_for_recovery(const MountOptions& options) {
  MetaSession::Options session;
  session.address = options.server;
  session.program = "dfs-mount";
  session.place = options.mount_point.native();
  session.cluster = options.cluster;
  session.connect_timeout = kConnectTimeout;
  return session;
}

// Its leases would be in the way until the server gives it up.
void end_former_session(const MountOptions& options, SessionMemo former) {
  MetaSession::Options session = session_for_recovery(options);
  session.record = &former;
  const auto connected = MetaSession::connect(std::move(session), SystemClock::instance());
  if (connected) (*connected)->end();
}

}  // namespace

Result<void> MountService::open_log(const MountOptions& options) {
  WriteLog::Options log;
  log.directory = options.journal;
  log.cluster = meta_->cluster();
  log.bytes_max = std::max(kBuffersMost * options.client.write_buffer_bytes,
                           kSegmentsLeast * log.segment_bytes);
  log_ = TRY(open_once_free(log));
  const FormerWrites& former = log_->former();
  const bool is_in_memory = memory_.has_former();
  if (!is_in_memory && !(former.files.empty() && former.damage.empty())) TRY(send_former(options));
  log_->begin();
  return {};
}

Result<void> MountService::send_former(const MountOptions& options) {
  const std::uint64_t bytes = log_->former().bytes();
  const std::size_t count = log_->former().files.size();
  log_info("fuse", "a former mount has left {} bytes of {} files in {}: they are sent first", bytes,
           count, options.journal.string());
  const auto sent = [&]() -> Result<Recovery> {
    if (const auto session = log_->former().session) end_former_session(options, *session);
    SystemClock& clock = SystemClock::instance();
    const auto meta = TRY(MetaSession::connect(session_for_recovery(options), clock));
    StorageClientOptions storage;
    storage.cluster = meta->cluster();
    const auto pool = GrpcStoragePool::create(
        std::move(storage), [&meta] { return meta->group_table(); }, clock);
    ClientConfig config = client_config(options);
    config.leases = false;
    config.access_times = false;
    config.soft_timeout = std::chrono::milliseconds{0};
    const auto files = TRY(FileSystem::create(config, *meta, *pool, clock, nullptr, log_.get()));
    auto recovery = dfs::send_former(*log_, *files, {.kept = options.journal / "kept",
                                                     .is_given_up = [&] { return stop_.is_asked(); }});
    meta->end();
    return recovery;
  }();
  if (!sent)
    return fail(sent.error().code,
                fmt::format("{} bytes of {} files that were written before this machine lost power "
                            "wait in {} until they can be sent: {}", bytes, count,
                            options.journal.string(), sent.error().to_string()));
  log_->remove_former();
  log_info("fuse", "{} bytes of {} files have been sent", sent->sent_bytes, sent->sent_files);
  for (const std::string& finding : sent->findings)
    std::fprintf(stderr, "dfs-mount: %s\n", finding.c_str());
  return {};
}

}  // namespace dfs::fuse
