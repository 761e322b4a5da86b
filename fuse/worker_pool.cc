#include "fuse/worker_pool.h"

#include <cerrno>
#include <cstring>
#include <pthread.h>
#include <system_error>

#include "common/base/log.h"
#include "fuse/kernel_abi.h"

namespace dfs::fuse {
namespace {

// So many requests must have followed each other closely before a second
// processor is kept awake: a lone request every now and then is not worth it.
constexpr unsigned kQuickRequestsBeforePulse = 8;

enum class Pace { never_waits, mostly_at_once, waits };

Pace pace_of(std::uint32_t opcode, bool names_are_known) {
  switch (opcode) {
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT:
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR:
      return Pace::never_waits;
    case FUSE_GETATTR:   // known, more often than not
    case FUSE_GETXATTR:  // not there, and known not to be
    case FUSE_FLUSH:     // of a file that nothing was written to
      return Pace::mostly_at_once;
    case FUSE_LOOKUP:
    case FUSE_OPEN:
    case FUSE_OPENDIR:
    case FUSE_READDIR:
    case FUSE_READDIRPLUS:
      return names_are_known ? Pace::mostly_at_once : Pace::waits;
    default:
      return Pace::waits;
  }
}

std::uint32_t opcode_of(BufferView request) {
  fuse_in_header header;
  invariant(request.size() >= sizeof header, "the kernel sends whole headers");
  std::memcpy(&header, request.data(), sizeof header);
  return header.opcode;
}

}  // namespace

thread_local WorkerPool::Worker* WorkerPool::current_ = nullptr;

WorkerPool::WorkerPool(const Options& options, Device& device, Handler handler, Watcher watcher)
    : options_(options),
      device_(device),
      handler_(std::move(handler)),
      watcher_(std::move(watcher)),
      admission_(options.limits),
      keep_awake_(options.keep_awake ? options.spin : std::chrono::microseconds{0}),
      spin_budget_(options.spin) {}

WorkerPool::~WorkerPool() {
  stop();
  wait();
}

void WorkerPool::start() {
  device_.watch();
  const std::lock_guard lock(mutex_);
  for (unsigned count = 0; count < options_.threads_min; ++count) add_worker_locked();
}

void WorkerPool::stop() {
  stopping_ = true;
  device_.stop();
}

void WorkerPool::wait() {
  std::unique_lock lock(mutex_);
  worker_finished_.wait(lock, [&] { return running_ == 0; });
  reap_locked();
}

std::size_t WorkerPool::threads() const {
  const std::lock_guard lock(mutex_);
  return running_;
}

void WorkerPool::about_to_reply() {
  if (current_ != nullptr && !current_->reader) become_reader(*current_);
}

bool WorkerPool::may_wait() { return current_ == nullptr || current_->may_wait; }

void WorkerPool::put_off() {
  invariant(!may_wait(), "only what may not wait is put off");
  current_->put_off = true;
}

MutableBuffer WorkerPool::payload() {
  invariant(current_ != nullptr, "requests are served by workers");
  return current_->buffer.payload();
}

void WorkerPool::add_worker_locked() {
  reap_locked();
  Worker& worker = workers_.emplace_back();
  try {
    worker.thread = std::thread([this, &worker] { run(worker); });
  } catch (const std::system_error& error) {
    log_error("fuse", "cannot start another thread: {}", error.what());
    workers_.pop_back();
    invariant(running_ > 0, "one thread can be started");
    return;
  }
  ++running_;
}

void WorkerPool::reap_locked() {
  workers_.remove_if([](Worker& worker) {
    if (!worker.finished) return false;
    worker.thread.join();
    return true;
  });
}

void WorkerPool::run(Worker& self) {
  pthread_setname_np(pthread_self(), "fuse");
  current_ = &self;
  while (!stopping_.load(std::memory_order_relaxed)) {
    ++sleeping_;
    const Device::Wake wake = device_.wait(sleep_max());
    if (wake == Device::Wake::time_passed && may_leave(self)) return;
    --sleeping_;
    if (wake == Device::Wake::stopped) break;
    if (wake == Device::Wake::request) serve(self);
  }
  finished(self);
}

std::chrono::milliseconds WorkerPool::sleep_max() {
  const std::lock_guard lock(mutex_);
  return running_ > options_.threads_min ? options_.idle_max : std::chrono::milliseconds{-1};
}

bool WorkerPool::may_leave(Worker& self) {
  const std::lock_guard lock(mutex_);
  if (running_ <= options_.threads_min || sleeping_ < 2) return false;
  --sleeping_;
  --running_;
  self.finished = true;
  worker_finished_.notify_all();
  return true;
}

void WorkerPool::finished(Worker& self) {
  const std::lock_guard lock(mutex_);
  --running_;
  self.finished = true;
  worker_finished_.notify_all();
}

void WorkerPool::serve(Worker& self) {
  become_reader(self);
  if (!self.reader) return;
  self.quick_requests = 0;
  std::int64_t looking_since = steady_ns();
  while (!stopping_.load(std::memory_order_relaxed)) {
    const Device::Read read = device_.read(self.buffer.request());
    switch (read.outcome) {
      case Device::Outcome::gone:
        stop();
        return;
      case Device::Outcome::request:
        watcher_(self.buffer.request().first(read.bytes));
        serve_request(self, read.bytes);
        if (!self.reader) become_reader(self);
        if (!self.reader) return;  // another one reads already
        looking_since = steady_ns();
        if (++self.quick_requests >= kQuickRequestsBeforePulse) keep_awake_.pulse(looking_since);
        continue;
      case Device::Outcome::nothing:
        watcher_({});
        if (spin_budget_.may_go_on(looking_since)) continue;
        hand_over_reading(self);
        return;
    }
  }
}

void WorkerPool::serve_request(Worker& self, std::size_t bytes) {
  const MutableBuffer request = self.buffer.request().first(bytes);
  switch (pace_of(opcode_of(request), options_.names_are_known)) {
    case Pace::never_waits:
      if (!end_kept_request(request)) handler_(request);
      return;
    case Pace::mostly_at_once:
      if (answer_at_once(self, request)) return;
      break;
    case Pace::waits:
      break;
  }
  if (admission_.admit(request) == Admission::Verdict::kept) return;
  work_on(self, bytes);
  while (const auto next = admission_.done(self.buffer.request())) work_on(self, *next);
}

// False if the request was put off.
bool WorkerPool::answer_at_once(Worker& self, MutableBuffer request) {
  self.may_wait = self.put_off = false;
  handler_(request);
  self.may_wait = true;
  return !self.put_off;
}

void WorkerPool::work_on(Worker& self, std::size_t bytes) {
  hand_over_reading(self);
  ensure_somebody_sleeps();
  handler_(self.buffer.request().first(bytes));
}

bool WorkerPool::end_kept_request(BufferView interrupt) {
  if (opcode_of(interrupt) != FUSE_INTERRUPT) return false;
  fuse_interrupt_in target;
  invariant(interrupt.size() >= sizeof(fuse_in_header) + sizeof target, "an interrupt is whole");
  std::memcpy(&target, interrupt.data() + sizeof(fuse_in_header), sizeof target);
  if (!admission_.withdraw(target.unique)) return false;
  fuse_out_header reply{sizeof reply, -EINTR, target.unique};
  const iovec part{&reply, sizeof reply};
  device_.write({&part, 1});  // refused only when nobody waits for it any more
  return true;
}

// Unwatching comes after the flag: a thread that sees the flag unset watches,
// and one watch too many only wakes somebody for nothing.
void WorkerPool::become_reader(Worker& self) {
  bool nobody = false;
  if (!reader_present_.compare_exchange_strong(nobody, true)) return;
  self.reader = true;
  device_.unwatch();
}

// Whoever saw the flag set may rely on the watch() that follows its unsetting.
void WorkerPool::hand_over_reading(Worker& self) {
  if (self.reader) {
    self.reader = false;
    reader_present_.store(false);
    device_.watch();
  } else if (!reader_present_.load()) {
    device_.watch();
  }
}

void WorkerPool::ensure_somebody_sleeps() {
  if (sleeping_.load() > 0) return;
  const std::lock_guard lock(mutex_);
  // One more than may work at once: it reads while they all wait.
  if (stopping_ || sleeping_.load() > 0 || running_ > options_.limits.busy_max) return;
  add_worker_locked();
}

}  // namespace dfs::fuse
