#include "server/storage/heartbeat.h"

#include <algorithm>
#include <utility>

#include "common/base/log.h"

namespace dfs::storage {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kPauseMin{100};
// Deleted between two heartbeats. Punching a hole took up to 4 ms on a busy
// disk that discards at once, and a silent server counts as dead.
constexpr std::size_t kDeletionsPerStep = 1024;

// The metadata server said no, and will again.
bool is_refusal(Errc code) {
  switch (code) {
    case Errc::wrong_cluster:
    case Errc::wrong_version:
    case Errc::access:
    case Errc::not_permitted:
    case Errc::invalid:
    case Errc::exists:
      return true;
    default:
      return false;
  }
}

}  // namespace

Heartbeat::Heartbeat(ClusterClient& meta, StoreSet& stores, ServerFacts facts,
                     milliseconds pause_max, Listeners listeners)
    : meta_(meta),
      stores_(stores),
      facts_(std::move(facts)),
      pause_max_(pause_max),
      listeners_(std::move(listeners)) {}

milliseconds Heartbeat::step() { return registered_ ? beat() : register_now(); }

milliseconds Heartbeat::register_now() {
  const StoreIdentity identity = stores_.identity();
  const ChunkStore::Space space = stores_.space();
  const auto result = meta_.register_server({.cluster = identity.cluster,
                                             .server = identity.server,
                                             .identity = identity.identity,
                                             .address = facts_.address,
                                             .local_socket = facts_.local_socket,
                                             .machine = facts_.machine,
                                             .labels = facts_.labels,
                                             .capacity = space.capacity,
                                             .available = space.available,
                                             .version = facts_.version});
  const Result<void> done = result ? registered(*result) : fail(result.error());
  if (done) return milliseconds{0};
  if (!is_refusal(done.error().code) || membership()) return trouble(done.error());
  {
    const std::lock_guard lock(mutex_);
    refusal_ = done.error();
    changed_.notify_all();
  }
  return next_pause();
}

Result<void> Heartbeat::registered(const RegisterResult& result) {
  if (result.cluster.empty() || result.server.value() == 0)
    return fail(Errc::bad_message, "the metadata server registered us without saying as what");
  TRY(stores_.join(result.cluster, result.server));
  interval_ = std::clamp(result.heartbeat_interval, milliseconds{50}, milliseconds{60'000});
  learn(result.group_table);
  learn(result.sessions);
  registered_ = true;
  no_trouble();
  log_info("storage", "registered as server {} of cluster {}", result.server.value(),
           result.cluster);
  const std::lock_guard lock(mutex_);
  membership_ = Membership{result.cluster, result.server};
  refusal_.reset();
  changed_.notify_all();
  return {};
}

milliseconds Heartbeat::beat() {
  const StoreIdentity identity = stores_.identity();
  const ChunkStore::Space space = stores_.space();
  auto result = meta_.heartbeat({.server = identity.server,
                                 .identity = identity.identity,
                                 .capacity = space.capacity,
                                 .available = space.available,
                                 .chunks = space.chunks,
                                 .used = space.used,
                                 .deleted = deleted_,
                                 .group_table_version = table_version_,
                                 .problems = stores_.problems(),
                                 .sessions_mark = sessions_mark_});
  if (!result) return trouble(result.error());
  no_trouble();
  deleted_.clear();
  if (result->group_table) learn(*result->group_table);
  learn(result->sessions);
  if (result->register_again) {
    log_info("storage", "the metadata server does not know this server any more");
    registered_ = false;
    return milliseconds{0};
  }
  if (!result->to_delete.empty()) delete_chunks(std::move(result->to_delete));
  const bool at_once = !deleted_.empty() || (result->more && !deletion_fails_);
  return at_once ? milliseconds{0} : interval_;
}

void Heartbeat::learn(const GroupTable& table) {
  table_version_ = table.version;
  listeners_.groups(table);
}

void Heartbeat::learn(const LiveSessionsPtr& sessions) {
  if (sessions == nullptr) return;
  sessions_mark_ = sessions->mark;
  listeners_.sessions(sessions);
}

// What is not acknowledged - too much at once, or it cannot be deleted - is
// asked for again.
void Heartbeat::delete_chunks(std::vector<ChunkId> chunks) {
  if (chunks.size() > kDeletionsPerStep) chunks.resize(kDeletionsPerStep);
  const auto erased = stores_.erase(chunks);
  if (erased) {
    deleted_ = std::move(chunks);
  } else if (!deletion_fails_) {
    log_error("storage", "chunks cannot be deleted: {}", erased.error().to_string());
  }
  deletion_fails_ = !erased;
}

milliseconds Heartbeat::trouble(const Error& error) {
  if (told_ != error.code) {
    log_warn("storage", "{}; trying again", error.to_string());
    told_ = error.code;
  }
  return next_pause();
}

milliseconds Heartbeat::next_pause() {
  pause_ = std::clamp(pause_ * 2, kPauseMin, pause_max_);
  return pause_;
}

void Heartbeat::no_trouble() {
  pause_ = milliseconds{0};
  if (std::exchange(told_, std::nullopt)) log_info("storage", "the metadata server answers again");
}

std::optional<Membership> Heartbeat::membership() const {
  const std::lock_guard lock(mutex_);
  return membership_;
}

Result<bool> Heartbeat::wait_registered(milliseconds timeout) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, timeout, [&] { return membership_.has_value() || refusal_.has_value(); });
  if (membership_) return true;
  if (refusal_) return fail(*refusal_);
  return false;
}

}  // namespace dfs::storage
