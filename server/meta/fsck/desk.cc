#include "server/meta/fsck/desk.h"

#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <functional>
#include <utility>

#include "common/base/log.h"

namespace dfs::fsck {
namespace {

// Others on the same cores come first.
constexpr int kNiceness = 15;

void give_way() {
  ::pthread_setname_np(::pthread_self(), "meta-fsck");
  // On Linux this is the thread's alone.
  if (::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kNiceness) != 0)
    log_warn("fsck", "the check cannot give way to other threads");
}

}  // namespace

// What the check tells it, on the desk's thread.
class Desk::Ear final : public Listener {
 public:
  explicit Ear(Desk& desk) : desk_(desk) {}
  Result<void> report(Report report) override { return desk_.put(std::move(report)); }
  Result<void> use(Use use) { return desk_.put(std::move(use)); }
  Result<void> passed(std::uint64_t rows) override { return desk_.passed(rows); }

 private:
  Desk& desk_;
};

Desk::Desk(const KvStore& store, Mender& mender, const Clock& clock, const DeskOptions& options)
    : store_(store), mender_(mender), clock_(clock), options_(options) {}

Desk::~Desk() { stop(); }

Result<std::uint64_t> Desk::begin_check(Mode mode) {
  return begin([this, mode](Ear& ear) {
    return check_in_rounds(store_, mode == Mode::repair ? &mender_ : nullptr, ear);
  });
}

Result<std::uint64_t> Desk::begin_search(std::set<ChunkId> users_of) {
  return begin([this, chunks = std::move(users_of)](Ear& ear) -> Result<Summary> {
    const auto snapshot = store_.snapshot();
    TRY(find_users(
        *snapshot, chunks, [&](Use use) { return ear.use(std::move(use)); },
        [&](std::uint64_t rows) { return ear.passed(rows); }));
    return Summary{};
  });
}

Result<std::uint64_t> Desk::begin(Work work) {
  const std::lock_guard one_at_a_time(beginning_);
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return fail(Errc::unavailable, "the metadata server is stopping");
    if (running_ && !is_abandoned_locked())
      return fail(Errc::busy, "another check of this file system is running; try again when it is done");
  }
  end_current();
  const std::lock_guard lock(mutex_);
  if (stopped_) return fail(Errc::unavailable, "the metadata server is stopping");
  ++run_;
  running_ = true;
  ending_ = false;
  asked_ = clock_.now();
  part_ = {};
  outcome_ = {};
  thread_ = std::thread([this, work = std::move(work)] { run(work); });
  return run_;
}

void Desk::run(const Work& work) {
  give_way();
  Ear ear(*this);
  Result<Summary> summary = work(ear);
  const std::lock_guard lock(mutex_);
  if (summary) {
    part_.summary = *summary;
  } else {
    outcome_ = fail(std::move(summary).error());
  }
  part_.done = true;
  running_ = false;
  changed_.notify_all();
}

Result<Desk::Part> Desk::next(std::uint64_t run) {
  std::unique_lock lock(mutex_);
  if (run != run_ || ending_)
    return fail(Errc::not_found, "that check is over: nobody asked for it for too long, or another began");
  asked_ = clock_.now();
  // Full parts at once, others when the time is over.
  changed_.wait_for(lock, options_.answer_within, [&] {
    return part_.done || ending_ || part_.reports.size() + part_.uses.size() >= options_.waiting_max;
  });
  if (run != run_ || ending_) return fail(Errc::not_found, "that check has been ended");
  Part taken = part_;
  const bool has_any = !part_.reports.empty() || !part_.uses.empty();
  if (!outcome_ && !has_any) return fail(outcome_.error());
  if (!outcome_) taken.done = false;  // the next answer is the error
  part_.reports.clear();
  part_.uses.clear();
  changed_.notify_all();
  return taken;
}

void Desk::end(std::uint64_t run) {
  const std::lock_guard one_at_a_time(beginning_);
  {
    const std::lock_guard lock(mutex_);
    if (run != run_) return;
  }
  end_current();
}

void Desk::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  const std::lock_guard one_at_a_time(beginning_);
  end_current();
}

// With `beginning_` held.
void Desk::end_current() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

bool Desk::is_abandoned_locked() const { return clock_.now() - asked_ > options_.silence_max; }

Result<void> Desk::put(Report report) {
  std::unique_lock lock(mutex_);
  TRY(wait_for_room(lock));
  part_.reports.push_back(std::move(report));
  return {};
}

Result<void> Desk::put(Use use) {
  std::unique_lock lock(mutex_);
  TRY(wait_for_room(lock));
  part_.uses.push_back(std::move(use));
  return {};
}

Result<void> Desk::passed(std::uint64_t rows) {
  const std::lock_guard lock(mutex_);
  part_.rows += rows;
  if (ending_ || is_abandoned_locked()) return fail(Errc::interrupted, "nobody asks for the check any more");
  return {};
}

Result<void> Desk::wait_for_room(std::unique_lock<std::mutex>& lock) {
  const auto has_room = [&] {
    return part_.reports.size() + part_.uses.size() < options_.waiting_max;
  };
  if (!has_room()) changed_.notify_all();
  while (!ending_ && !is_abandoned_locked() && !has_room())
    changed_.wait_for(lock, options_.answer_within);
  if (has_room() && !ending_) return {};
  return fail(Errc::interrupted, "nobody asks for the check any more");
}

}  // namespace dfs::fsck
