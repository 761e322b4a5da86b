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
  {
    const std::lock_guard lock(mutex_);
    if (queue_.size() < queue_max_) {
      queue_.push_back({std::move(points), std::move(done)});
      done = nullptr;
    }
  }
  if (done) return done(fail(Errc::overloaded, "too many requests wait for the disk"));
  wake_.notify_one();
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
    wake_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    batch.swap(queue_);
    lock.unlock();
    // The first request of a segment syncs everything written so far, so the
    // others of the batch find their tickets served.
    for (Waiting& waiting : batch) waiting.done(sync(waiting.points));
    batch.clear();
    lock.lock();
  }
}

}  // namespace dfs::storage
