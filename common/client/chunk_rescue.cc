// What ChunkReader does when the first replica fails or is slow: ask the
// others, one after another or side by side, until one has delivered.
#include <algorithm>
#include <cstring>
#include <utility>

#include "common/base/log.h"
#include "common/client/chunk_reader.h"
#include "common/client/client_metrics.h"
#include "common/client/wait.h"

namespace dfs {
namespace {

constexpr std::chrono::milliseconds kFirstPause{20};
constexpr std::chrono::milliseconds kSlowLook{10};

}  // namespace

// Answers may come after the reader has gone away; each attempt has its own
// memory.
struct ChunkReader::Race {
  struct Attempt {
    ServerId server;
    std::unique_ptr<std::byte[]> bytes;
    bool done = false;
    bool judged = false;
    Result<void> result;
  };
  std::mutex mutex;
  std::condition_variable arrived;
  std::vector<std::unique_ptr<Attempt>> attempts;  // guarded by mutex

  bool any_unjudged() const {
    return std::any_of(attempts.begin(), attempts.end(),
                       [](const auto& attempt) { return attempt->done && !attempt->judged; });
  }
  bool running() {
    const std::lock_guard lock(mutex);
    return any_running();
  }
  bool any_running() const {
    return std::any_of(attempts.begin(), attempts.end(),
                       [](const auto& attempt) { return !attempt->done; });
  }
};

void ChunkReader::launch(const std::shared_ptr<Race>& race, const ChunkSlice& slice,
                         ServerId server) {
  auto owned = std::make_unique<Race::Attempt>();
  Race::Attempt* attempt = owned.get();
  attempt->server = server;
  attempt->bytes = std::make_unique_for_overwrite<std::byte[]>(slice.length);
  {
    const std::lock_guard lock(race->mutex);
    race->attempts.push_back(std::move(owned));
  }
  enter();
  parts_.storage.client(server)->get(
      {{slice.chunk, slice.offset, slice.length, attempt->bytes.get()}},
      [this, race, attempt](std::vector<Result<void>> results) {
        {
          const std::lock_guard lock(race->mutex);
          attempt->done = true;
          attempt->result = results.empty()
                                ? Result<void>(fail(Errc::bad_message, "no answer"))
                                : std::move(results.front());
          race->arrived.notify_all();
        }
        leave();
      });
}

void ChunkReader::judge(const ChunkSlice& slice, ServerId server, const Error& problem,
                        Round& round) {
  client_metrics().failovers.add();
  if (problem.code == Errc::io) {
    // Its disk cannot read it: the others may, and the copy is to be replaced.
    ++round.unreadable;
    if (bad_copies_.note(slice.chunk, server)) parts_.meta.post(ReportArgs{slice.chunk, server, problem});
    parts_.health.failed(server);
    return;
  }
  if (problem.code == Errc::not_found || problem.code == Errc::corrupt) {
    ++round.denied;
    if (problem.code == Errc::corrupt) round.denial = Errc::corrupt;
    if (!bad_copies_.note(slice.chunk, server)) return;
    parts_.meta.post(ReportArgs{slice.chunk, server, problem});
    log_warn("client", "server {} cannot deliver chunk {}: {}", server.value(),
             to_string(slice.chunk), problem.to_string());
    return;
  }
  parts_.health.failed(server);
  log_debug("client", "server {} did not answer for chunk {}: {}", server.value(),
            to_string(slice.chunk), problem.to_string());
}

// The slow first answer has come after all: true if it delivers.
bool ChunkReader::take_slow(FetchPtr& slow, const ChunkSlice& slice, Round& round) {
  if (slow == nullptr) return false;
  if (!slow->done()) return false;
  const FetchPtr arrived = std::exchange(slow, nullptr);
  if (!arrived->result()) {
    judge(slice, ServerId{arrived->server}, arrived->result().error(), round);
    return false;
  }
  std::memcpy(slice.into, arrived->into + (slice.offset - arrived->offset), slice.length);
  return true;
}

// Waits for the attempts that run. True: delivered; false: it is time to ask
// another replica, or nobody is left to answer.
Result<bool> ChunkReader::run_round(Race& race, Round& round, const ChunkSlice& slice,
                                    FetchPtr& slow, Interrupt* interrupt) {
  const SteadyTime hedge_at = parts_.clock.now() + hedge_after();
  std::unique_lock lock(race.mutex);
  for (;;) {
    std::vector<std::pair<ServerId, Error>> failures;
    for (const auto& attempt : race.attempts) {
      if (!attempt->done || attempt->judged) continue;
      attempt->judged = true;
      if (attempt->result) {
        parts_.health.answered(attempt->server);
        std::memcpy(slice.into, attempt->bytes.get(), slice.length);
        return true;
      }
      failures.emplace_back(attempt->server, attempt->result.error());
    }
    if (!failures.empty()) {
      lock.unlock();
      for (const auto& [server, problem] : failures) judge(slice, server, problem, round);
      lock.lock();
      continue;
    }
    if (take_slow(slow, slice, round)) return true;
    if (!race.any_running() && (slow == nullptr || !round.untried.empty())) return false;

    // The slow answer does not wake us: look for it now and then.
    std::optional<SteadyTime> until;
    if (!round.untried.empty()) until = hedge_at;
    if (slow != nullptr) until = std::min(parts_.clock.now() + kSlowLook, hedge_at);
    const Wake wake = wait_until(lock, race.arrived, {parts_.clock, interrupt, until},
                                 [&] { return race.any_unjudged(); });
    if (wake == Wake::interrupted) return fail(Errc::interrupted, "reading");
    const bool hedge = !round.untried.empty() && parts_.clock.now() >= hedge_at;
    if (wake == Wake::expired && hedge) return false;
    if (wake == Wake::expired && until == hedge_at) return false;
  }
}

Result<void> ChunkReader::rescue(const ChunkSlice& slice, const FetchPtr& first, bool is_slow,
                                 Interrupt* interrupt) {
  const SteadyTime started = parts_.clock.now();
  std::chrono::milliseconds pause = kFirstPause;
  for (FetchPtr given = first;; given = nullptr) {
    const auto race = std::make_shared<Race>();
    Round round;
    round.untried = replicas(slice.chunk);
    round.members = round.untried.size();
    FetchPtr slow;
    if (given != nullptr) {
      // The first replica has had its turn.
      std::erase(round.untried, ServerId{given->server});
      slow = given;
      if (!is_slow && take_slow(slow, slice, round)) return {};
    }
    while (!round.untried.empty()) {
      const ServerId server = round.untried.front();
      round.untried.erase(round.untried.begin());
      if (slow != nullptr) client_metrics().hedges.add();
      launch(race, slice, server);
      const bool delivered = TRY(run_round(*race, round, slice, slow, interrupt));
      if (delivered) return {};
    }
    // Everybody has been asked; some may still answer.
    while (slow != nullptr || race->running()) {
      const bool delivered = TRY(run_round(*race, round, slice, slow, interrupt));
      if (delivered) return {};
    }
    if (round.members > 0 && round.denied + round.unreadable >= round.members) {
      return fail(round.unreadable > 0 ? Errc::io : round.denial,
                  "no replica gives chunk " + to_string(slice.chunk));
    }
    if (round.denied + round.unreadable > 0) {
      return fail(Errc::unavailable, "chunk " + to_string(slice.chunk) +
                                         " is not to be had from the servers that answer");
    }

    const SteadyTime now = parts_.clock.now();
    const bool soft = parts_.config.soft_timeout.count() > 0;
    if (soft && now - started >= parts_.config.soft_timeout) {
      return fail(Errc::timed_out, "no replica of chunk " + to_string(slice.chunk) + " answers");
    }
    std::unique_lock lock(race->mutex);
    const Wake wake = wait_until(lock, race->arrived, {parts_.clock, interrupt, now + pause},
                                 [] { return false; });
    if (wake == Wake::interrupted) return fail(Errc::interrupted, "waiting for a storage server");
    pause = std::min(pause * 2, parts_.config.retry_pause_max);
  }
}

}  // namespace dfs
