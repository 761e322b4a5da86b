// Group commit: everything that waits for stable media when the disk becomes
// free is served by one fdatasync per segment.
//
// Threads: submit() from any; completions run on the syncer's own thread and
// must be short. The destructor completes what was accepted.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "common/base/result.h"
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

  // `done` is called exactly once, before submit() returns if it is refused.
  void submit(std::vector<SyncPoint> points, std::function<void(Result<void>)> done);

  // Syncs the points on the caller's thread.
  static Result<void> sync(const std::vector<SyncPoint>& points);

 private:
  struct Waiting {
    std::vector<SyncPoint> points;
    std::function<void(Result<void>)> done;
  };
  void run();

  const std::size_t queue_max_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Waiting> queue_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace dfs::storage
