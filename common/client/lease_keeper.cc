#include "common/client/lease_keeper.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include "common/base/log.h"
#include "common/client/client_metrics.h"
#include "common/rpc/protocol.h"

namespace dfs {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

// Enough that files which storage servers are slow to take do not keep others.
constexpr std::size_t kSettlers = 8;
// An attempt that does not end is followed by another one for each request that
// turns out to be in the way: as many as a mount serves at once.
constexpr std::size_t kForgetters = 64;
constexpr std::size_t kTasksMax = 65'536;
// Forgetting pages takes microseconds unless one of them is locked.
constexpr milliseconds kForgetPatience{5};
constexpr microseconds kForgetPatiencePerFile{20};
constexpr milliseconds kForgetSoonPatience{1};
// Pages that are locked by others, who wait for nothing that the caller has.
constexpr milliseconds kForgetOthersPatience{1'000};
// Bytes go into a buffer, or come from where they are not far.
constexpr milliseconds kUsePatience{10};
// Between two attempts to send what the servers did not take.
constexpr milliseconds kRetryPause{200};

constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kWholeFile = kFileSizeMax;

// Without a word: [0, infinity) less the pages of `ranges`.
std::vector<FileRange> all_but(std::vector<FileRange> ranges) {
  std::sort(ranges.begin(), ranges.end(),
            [](const FileRange& a, const FileRange& b) { return a.offset < b.offset; });
  std::vector<FileRange> rest;
  std::uint64_t at = 0;
  for (const FileRange& range : ranges) {
    const std::uint64_t from = range.offset / kPage * kPage;
    const std::uint64_t to = (range.offset + range.length + kPage - 1) / kPage * kPage;
    if (from > at) rest.push_back({at, from - at});
    at = std::max(at, to);
  }
  if (at < kWholeFile) rest.push_back({at, kWholeFile - at});
  return rest;
}

bool is_in_use(const InodeStatePtr& state) {
  if (state == nullptr) return false;
  const std::lock_guard lock(state->mutex);
  return !state->idle_locked();
}

}  // namespace

LeaseKeeper::LeaseKeeper(Parts parts)
    : parts_(std::move(parts)),
      settlers_({.name = "settle", .threads = kSettlers, .queue_max = kTasksMax}),
      forgetters_({.name = "forget", .threads = kForgetters, .queue_max = kTasksMax}) {
  thread_ = std::thread([this] { run(); });
  ::pthread_setname_np(thread_.native_handle(), "leases");
}

LeaseKeeper::~LeaseKeeper() {
  stop_.interrupt();
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
  settlers_.stop();
  forgetters_.stop();
}

void LeaseKeeper::set_kernel(std::shared_ptr<KernelCache> kernel) {
  kernel_.with([&](auto& known) { known = std::move(kernel); });
}

// --- from others -------------------------------------------------------------------------

void LeaseKeeper::recalled(LeaseRecall recall) {
  {
    const std::lock_guard lock(mutex_);
    queue_.emplace_back(std::move(recall));
  }
  wake_.notify_all();
}

void LeaseKeeper::give_back(InodeId inode, std::uint64_t order) {
  recalled({order, {{inode, LeaseKind::none}}});
}

void LeaseKeeper::lost(std::vector<InodeId> inodes) {
  if (inodes.empty()) return;
  {
    const std::lock_guard lock(mutex_);
    queue_.emplace_back(Lost{std::move(inodes)});
  }
  wake_.notify_all();
}

void LeaseKeeper::confirmed() { wake_.notify_all(); }

// In this order: an end that is shown over old pages would show what is in them.
void LeaseKeeper::forget_pages_soon(InodeId inode, const FileRange& range,
                                    std::optional<LastByte> end, Locks locks) {
  const std::uint64_t from = range.offset / kPage * kPage;
  const std::uint64_t to = (range.offset + range.length + kPage - 1) / kPage * kPage;
  const auto told = elsewhere([this, inode, from, to, end](KernelCache& kernel) {
    // Those of other writes may be among them; it may take long until they are unlocked.
    note_pages_forgotten_here(inode);
    kernel.forget_pages(inode, {from, to - from});
    note_pages_forgotten_here(inode);
    if (end) kernel.store(inode, end->offset, {&end->value, 1});
  });
  static_cast<void>(
      told->wait(locks == Locks::none ? kForgetOthersPatience : kForgetSoonPatience));
}

// --- the thread ----------------------------------------------------------------------------

std::optional<SteadyTime> LeaseKeeper::lapses_at() const {
  if (parts_.gate.size() == 0) return std::nullopt;
  return parts_.gate.trusted_until();
}

void LeaseKeeper::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (queue_.empty() && !stopping_) wake_.wait_for(lock, kWaitSlice);
    if (stopping_) return;
    if (queue_.empty()) {
      lock.unlock();
      if (const auto at = lapses_at(); at && parts_.clock.now() >= *at) {
        const std::vector<InodeId> lapsed = parts_.gate.lapse();
        if (!lapsed.empty()) take(Lost{lapsed});
      }
      lock.lock();
      continue;
    }
    const auto next = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    std::visit([this](const auto& work) { take(work); }, next);
    lock.lock();
  }
}

void LeaseKeeper::take(const LeaseRecall& recall) {
  std::vector<InodeId> idle;
  std::vector<ReturnedLease> absent;
  for (const RecalledLease& lease : recall.leases) {
    client_metrics().lease_recalls.add();
    if (parts_.gate.is_about_to_be_used(lease)) {
      take_after_use(lease, recall.order);
      continue;
    }
    switch (parts_.gate.recall(lease, recall.order)) {
      case LeaseGate::Recalled::absent:
        absent.push_back({lease.inode, LeaseKind::none, recall.order, 0});
        break;
      case LeaseGate::Recalled::settling:
        break;
      case LeaseGate::Recalled::begun:
        if (is_in_use(parts_.inodes.find(lease.inode))) {
          settle_elsewhere(lease.inode);
        } else {
          idle.push_back(lease.inode);
        }
        break;
    }
  }
  answer(absent);
  if (!idle.empty()) settle_idle(recall.order, idle);
}

// By a reader or writer that has waited for it, and takes no longer than that.
void LeaseKeeper::take_after_use(const RecalledLease& lease, std::uint64_t order) {
  const auto work = [this, lease, order] {
    parts_.gate.await_use(lease, kUsePatience);
    switch (parts_.gate.recall(lease, order)) {
      case LeaseGate::Recalled::absent:
        return answer({{lease.inode, LeaseKind::none, order, 0}});
      case LeaseGate::Recalled::settling:
        return;
      case LeaseGate::Recalled::begun:
        return settle(lease.inode);
    }
  };
  if (!settlers_.submit(work)) work();
}

void LeaseKeeper::settle_elsewhere(InodeId inode) {
  if (!settlers_.submit([this, inode] { settle(inode); })) settle(inode);
}

// Nothing that waits for anybody is about these, unless somebody has begun to use
// one by now.
void LeaseKeeper::settle_idle(std::uint64_t order, const std::vector<InodeId>& inodes) {
  // Nothing of the leases is kept, though some of it might be: while it is there,
  // files are opened without a word.
  for (const InodeId inode : inodes)
    static_cast<void>(parts_.gate.recall({inode, LeaseKind::none}, order));
  parts_.replies.pass();
  const bool forgotten = forget_idle(inodes);
  std::vector<ReturnedLease> answers;
  for (const InodeId inode : inodes) {
    if (!forgotten || is_in_use(parts_.inodes.find(inode))) {
      settle_elsewhere(inode);
    } else if (auto settled = parts_.gate.settled(inode, LeaseKind::none)) {
      answers.push_back(*settled);
    }
  }
  answer(answers);
}

bool LeaseKeeper::forget_idle(const std::vector<InodeId>& inodes) {
  const auto kernel = kernel_.with([](const auto& known) { return known; });
  if (kernel == nullptr) return true;
  bool names = false;
  std::vector<Pages> pages;
  for (const InodeId inode : inodes) {
    const std::optional<FileType> type = parts_.type_of(inode);
    if (!type || *type == FileType::directory) names = true;
    if (!type || *type == FileType::regular) pages.push_back({inode, {0, kWholeFile}});
    else if (*type == FileType::directory) kernel->forget_pages(inode, {0, kWholeFile});
    else kernel->forget_attributes(inode);
  }
  if (names) kernel->forget_names();
  if (pages.empty()) return true;
  const microseconds patience = kForgetPatience + kForgetPatiencePerFile * pages.size();
  return forget_elsewhere(std::move(pages))->wait(patience);
}

// Names and attributes at once, pages elsewhere.
std::vector<std::shared_ptr<LeaseKeeper::Forgetting>> LeaseKeeper::begin_to_forget(
    const std::vector<InodeId>& inodes) {
  log_info("client", "{} leases are not valid any more; what the kernel was told is forgotten",
           inodes.size());
  parts_.replies.pass();
  std::vector<std::shared_ptr<Forgetting>> begun;
  const auto kernel = kernel_.with([](const auto& known) { return known; });
  if (kernel == nullptr) return begun;
  std::vector<Pages> of_idle;
  for (const InodeId inode : inodes) {
    kernel->forget_attributes(inode);
    if (const InodeStatePtr state = parts_.inodes.find(inode); is_in_use(state)) {
      note_pages_forgotten(*state);
      begun.push_back(forget_elsewhere(pages_to_forget(inode)));
    } else {
      of_idle.push_back({inode, {0, kWholeFile}});
    }
  }
  kernel->forget_names();
  begun.push_back(forget_elsewhere(std::move(of_idle)));
  return begun;
}

void LeaseKeeper::forget_now(const std::vector<InodeId>& inodes) {
  for (const auto& forgetting : begin_to_forget(inodes))
    if (!forgetting->wait(kForgetPatience)) return;
}

// The server is told how often the inode is open before it knows less than that.
std::uint32_t LeaseKeeper::untold_opens(InodeState& state) {
  const std::lock_guard lock(state.mutex);
  return state.untold_opens_locked();
}

// Those that were closed meanwhile are taken back, in this order.
void LeaseKeeper::told_opens(InodeState& state, std::uint32_t count) {
  std::uint32_t closed = 0;
  {
    const std::lock_guard lock(state.mutex);
    state.told_opens += count;
    closed = state.take_overtold_locked();
  }
  if (closed > 0) parts_.meta.post(ReleaseArgs{state.inode, closed});
}

// --- files in use ----------------------------------------------------------------------------

void LeaseKeeper::settle(InodeId inode) {
  for (;;) {
    const InodeStatePtr state = parts_.inodes.find(inode);
    const std::optional<LeaseKind> kept = settle_once(inode, state);
    if (!kept) return;
    std::optional<ReturnedLease> settled = parts_.gate.settled(inode, *kept);
    if (!settled) continue;
    if (state == nullptr || *kept != LeaseKind::none) return answer({*settled});
    settled->holds = untold_opens(*state);
    answer({*settled});
    return told_opens(*state, settled->holds);
  }
}

std::optional<LeaseKind> LeaseKeeper::settle_once(InodeId inode, const InodeStatePtr& state) {
  const LeaseKind kept = parts_.gate.leaves(inode);
  parts_.replies.pass();
  // Writes and opens that found the lease whole are done.
  if (state != nullptr) const std::lock_guard lock(state->mutex);
  if (kept == LeaseKind::none) {
    forget_used(inode);
    if (state != nullptr) note_pages_forgotten(*state);
  }
  if (state != nullptr && !send_written(inode, state)) return std::nullopt;
  if (const auto kernel = kernel_.with([](const auto& known) { return known; }))
    kernel->forget_attributes(inode);
  return kept;
}

void LeaseKeeper::note_pages_forgotten(InodeState& state) const {
  const std::lock_guard lock(state.mutex);
  state.pages_forgotten_at = parts_.clock.now();
}

void LeaseKeeper::note_pages_forgotten_here(InodeId inode) const {
  const InodeStatePtr state = parts_.inodes.find(inode);
  if (state == nullptr) return;
  const std::lock_guard lock(state->mutex);
  state->pages_forgotten_locked(parts_.clock.now());
}

// All but those of requests that wait for a lease.
std::vector<LeaseKeeper::Pages> LeaseKeeper::pages_to_forget(InodeId inode) const {
  std::vector<Pages> pages;
  for (const FileRange& range : all_but(parts_.gate.waiting(inode))) pages.push_back({inode, range});
  return pages;
}

void LeaseKeeper::forget_used(InodeId inode) {
  std::shared_ptr<Forgetting> forgetting;
  std::vector<Pages> attempted;
  while (!stop_.interrupted()) {
    std::vector<Pages> pages = pages_to_forget(inode);
    if (forgetting == nullptr || pages != attempted) {
      attempted = pages;
      forgetting = forget_elsewhere(std::move(pages));
    }
    if (forgetting->wait(kForgetPatience)) return;
  }
}

// False: stopping.
bool LeaseKeeper::send_written(InodeId inode, const InodeStatePtr& state) {
  for (;;) {
    const Result<void> sent = parts_.send(state, &stop_);
    if (stop_.interrupted()) return false;
    if (sent) return true;
    if (!is_retryable(sent.error().code) && sent.error().code != Errc::interrupted) return true;
    log_warn("client", "inode {}: others wait for what was written here, which cannot be sent: {}",
             inode.value(), sent.error().to_string());
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, kRetryPause, [this] { return stopping_; });
    if (stopping_) return false;
  }
}

bool LeaseKeeper::Forgetting::wait(microseconds patience) {
  std::unique_lock lock(mutex);
  return changed.wait_for(lock, patience, [this] { return over; });
}

std::shared_ptr<LeaseKeeper::Forgetting> LeaseKeeper::forget_elsewhere(std::vector<Pages> pages) {
  return elsewhere([pages = std::move(pages)](KernelCache& kernel) {
    for (const Pages& each : pages) kernel.forget_pages(each.inode, each.range);
  });
}

std::shared_ptr<LeaseKeeper::Forgetting> LeaseKeeper::elsewhere(
    std::function<void(KernelCache&)> tell) {
  auto forgetting = std::make_shared<Forgetting>();
  const auto kernel = kernel_.with([](const auto& known) { return known; });
  if (kernel == nullptr) {
    forgetting->over = true;
    return forgetting;
  }
  const auto work = [kernel, forgetting, tell = std::move(tell)] {
    tell(*kernel);
    const std::lock_guard lock(forgetting->mutex);
    forgetting->over = true;
    forgetting->changed.notify_all();
  };
  if (!forgetters_.submit(work)) work();
  return forgetting;
}

void LeaseKeeper::answer(const std::vector<ReturnedLease>& answers) {
  for (std::size_t at = 0; at < answers.size(); at += kLeasesPerReturnMax) {
    const std::size_t end = std::min(answers.size(), at + kLeasesPerReturnMax);
    parts_.meta.post(ReturnLeasesArgs{{answers.begin() + static_cast<std::ptrdiff_t>(at),
                                       answers.begin() + static_cast<std::ptrdiff_t>(end)}});
  }
}

}  // namespace dfs
