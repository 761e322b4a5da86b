// Group commit: everything that waits for stable media when the disk becomes
// free is served by one fdatasync per segment.
//
// While the disk is quick and nobody else waits, whoever submits syncs in
// place (common/base/sync_pace.h): that spares two thread wake-ups.
//
// Threads: submit() from any; completions run on the syncer's own thread or,
// before submit() returns, on the caller's, and must be short. The destructor
// completes what was accepted.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "common/base/result.h"
#include "common/base/sync_pace.h"
#include "server/storage/segment.h"

namespace dfs::storage {

// Syncing `segment` through `ticket`.
struct SyncPoint {
  std::shared_ptr<Segment> segment;
  SyncTicket ticket = 0;
};

class Syncer {
 public:
  // One more than `queue_max` waiting requests is refused as `overloaded`.
  explicit Syncer(std::size_t queue_max);
  ~Syncer();
  Syncer(const Syncer&) = delete;
  Syncer& operator=(const Syncer&) = delete;

  // `done` is called exactly once.
  void submit(std::vector<SyncPoint> points, std::function<void(Result<void>)> done);

  // Syncs the points on the caller's thread.
  static Result<void> sync(const std::vector<SyncPoint>& points);

 private:
  struct Waiting {
    std::vector<SyncPoint> points;
    std::function<void(Result<void>)> done;
  };
  void run();
  void sync_here(const std::vector<SyncPoint>& points,
                 const std::function<void(Result<void>)>& done);

  const std::size_t queue_max_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Waiting> queue_;
  bool syncing_ = false;  // the thread or a caller is at it
  bool stopping_ = false;
  SyncPace pace_;
  std::thread thread_;
};

}  // namespace dfs::storage
