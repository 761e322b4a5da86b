#include "server/storage/syncer.h"

#include <pthread.h>

namespace dfs::storage {

Syncer::Syncer(std::size_t queue_max) : queue_max_(queue_max), thread_([this] { run(); }) {
  ::pthread_setname_np(thread_.native_handle(), "syncer");
}

Syncer::~Syncer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void Syncer::submit(std::vector<SyncPoint> points, std::function<void(Result<void>)> done) {
  bool here = false;
  {
    const std::lock_guard lock(mutex_);
    here = queue_.empty() && !syncing_ && pace_.is_quick();
    if (here) {
      syncing_ = true;
    } else if (queue_.size() < queue_max_) {
      queue_.push_back({std::move(points), std::move(done)});
      done = nullptr;
    }
  }
  if (here) return sync_here(points, done);
  if (done) return done(fail(Errc::overloaded, "too many requests wait for the disk"));
  wake_.notify_one();
}

void Syncer::sync_here(const std::vector<SyncPoint>& points,
                       const std::function<void(Result<void>)>& done) {
  const auto start = std::chrono::steady_clock::now();
  const Result<void> synced = sync(points);
  pace_.took(std::chrono::steady_clock::now() - start);
  bool more = false;
  {
    const std::lock_guard lock(mutex_);
    syncing_ = false;
    more = !queue_.empty();
  }
  if (more) wake_.notify_one();
  done(synced);
}

Result<void> Syncer::sync(const std::vector<SyncPoint>& points) {
  // The disk gets all of the work before the first wait.
  if (points.size() > 1) {
    for (const SyncPoint& point : points) {
      if (!point.segment->is_synced(point.ticket)) point.segment->file().start_writeback(0, 0);
    }
  }
  for (const SyncPoint& point : points) TRY(point.segment->sync_through(point.ticket));
  return {};
}

void Syncer::run() {
  std::vector<Waiting> batch;
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [&] { return stopping_ || (!queue_.empty() && !syncing_); });
    if (queue_.empty()) return;
    batch.swap(queue_);
    syncing_ = true;
    lock.unlock();
    // The first request of a segment syncs everything written so far, so the
    // others of the batch find their tickets served.
    const auto start = std::chrono::steady_clock::now();
    std::vector<Result<void>> results;
    results.reserve(batch.size());
    for (const Waiting& waiting : batch) results.push_back(sync(waiting.points));
    pace_.took(std::chrono::steady_clock::now() - start);
    lock.lock();
    syncing_ = false;
    lock.unlock();
    for (std::size_t i = 0; i < batch.size(); ++i) batch[i].done(std::move(results[i]));
    batch.clear();
    lock.lock();
  }
}

}  // namespace dfs::storage
