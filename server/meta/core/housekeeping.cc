#include "server/meta/core/housekeeping.h"

#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "common/base/log.h"
#include "server/meta/sessions/session_jobs.h"

namespace dfs {
namespace {

using namespace std::chrono_literals;

constexpr auto kSliceTime = 3ms;
constexpr std::size_t kOrphansPerSlice = 256;
// After a slice whose batch was refused (a full disk), orphans wait this long.
constexpr auto kRetryDelay = 1s;

class HousekeepingJob final : public CoreJob {
 public:
  explicit HousekeepingJob(bool* more) : more_(more) {}

  Result<void> change(CoreState& state) override {
    state.room.refresh();
    state.cluster.expire();
    state.leases.calm_down();
    evict_silent(state);
    TRY(end_session(state));
    repairs_ = TRY(state.repair.look_after(state.txn));
    TRY(convert(state));
    purge_orphans(state);
    return {};
  }

  void finish(CoreState* state, Result<void> committed) override {
    *more_ = false;
    if (state == nullptr) return;
    state->roll.look(state->sessions, state->row.record().next_session);
    const SteadyTime now = state->clock.now();
    if (!committed) {
      state->repair.look_refused();
      for (const InodeId inode : purged_) state->orphans.add(inode, now + kRetryDelay);
      for (const InodeId inode : unfinished_) state->orphans.add(inode, now + kRetryDelay);
      return;
    }
    for (const InodeId inode : purged_) {
      state->orphans.forget(inode);
      state->sessions.purged(inode);
    }
    for (const InodeId inode : unfinished_) state->orphans.add(inode, now);
    if (ended_) {
      log_info("sessions", "session {} has ended", ended_->value());
      state->sessions.remove(*ended_);
    }
    // They tell how many copies new chunks are to have.
    for (const InodeId inode : converted_) state->leases.ask_others({SessionId{}, inode});
    *more_ = slice_full_ || !unfinished_.empty() || ending_ || repairs_;
  }

 private:
  static void evict_silent(CoreState& state) {
    const auto time = state.config.lease_time;
    const WallNanos now = state.clock.wall();
    while (const std::optional<LeaseKey> lease = state.leases.take_overdue())
      state.evictions.evict(state.sessions, lease->session,
                            fmt::format("it has not given back its lease on inode {} within {} ms",
                                        lease->inode.value(), time.count()),
                            now);
    for (const SessionId id : state.sessions.missing_with_leases(time))
      state.evictions.evict(
          state.sessions, id,
          fmt::format("it has not come back within {} ms of the server's start", time.count()),
          now);
  }

  Result<void> convert(CoreState& state) {
    // Who has leases on what changes is to hear of it.
    if (!state.sessions.leases_are_known()) return {};
    const bool more = TRY(
        state.repair.convert(state.txn, state.context(Caller{}, SessionId{}), converted_));
    repairs_ = repairs_ || more;
    return {};
  }

  Result<void> end_session(CoreState& state) {
    const std::optional<SessionId> id = state.sessions.next_to_end();
    if (!id) return {};
    ending_ = true;
    const SessionEnd end = TRY(end_some_of_session(state, *id));
    if (end == SessionEnd::done) ended_ = id;
    return {};
  }

  void purge_orphans(CoreState& state) {
    const SteadyTime start = state.clock.now();
    for (std::size_t count = 0; count < kOrphansPerSlice; ++count) {
      const std::optional<InodeId> inode = state.orphans.take_due(start);
      if (!inode) return;
      if (state.sessions.is_open(*inode)) continue;
      const Result<Purge> purged = purge_orphan(state.txn, state.purge_context(), *inode);
      if (!purged) {
        // Its rows do not hold; it stays in its table, and others go on.
        log_error("core", "inode {} without names cannot be purged: {}", inode->value(),
                  purged.error().to_string());
        purged_.push_back(*inode);
      } else if (*purged == Purge::more) {
        unfinished_.push_back(*inode);
        return;
      } else {
        purged_.push_back(*inode);
      }
      if (state.clock.now() - start > kSliceTime) break;
    }
    slice_full_ = true;
  }

  bool* const more_;
  bool ending_ = false;
  bool repairs_ = false;
  bool slice_full_ = false;
  std::optional<SessionId> ended_;
  std::vector<InodeId> purged_;      // nothing is left to do for them
  std::vector<InodeId> unfinished_;
  std::vector<InodeId> converted_;   // their attributes have changed
};

}  // namespace

std::unique_ptr<CoreJob> make_housekeeping_job(bool* more) {
  return std::make_unique<HousekeepingJob>(more);
}

}  // namespace dfs
