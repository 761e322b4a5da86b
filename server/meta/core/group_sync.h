// Group commit: makes the log stable for everyone who waits, with one sync
// for all of them, while the core goes on.
//
// Threads: any. One thread of its own does the syncs, except while the disk is
// quick and nobody else waits: then whoever asks does it in place
// (common/base/sync_pace.h), which spares two thread wake-ups.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "common/base/metrics.h"
#include "common/base/sync_pace.h"
#include "server/meta/core/core_job.h"
#include "server/meta/core/reply_sink.h"
#include "server/meta/log/meta_log.h"

namespace dfs {

class GroupSync {
 public:
  // What was appended becomes stable after at most `interval` although nobody
  // asks. `log` must outlive the object.
  GroupSync(MetaLog& log, std::chrono::milliseconds interval);
  ~GroupSync();
  GroupSync(const GroupSync&) = delete;
  GroupSync& operator=(const GroupSync&) = delete;

  // A reply to a session, or a job that keeps its answer.
  struct Waiting {
    std::shared_ptr<ReplySink> sink;
    CoreReply reply;
    std::unique_ptr<CoreJob> job = nullptr;
  };

  // Delivers the replies once everything appended before this call survives
  // power loss; errors instead if that failed. Bounded by the requests that
  // sessions may have under way.
  void answer_when_stable(std::vector<Waiting> waiting);
  // Tells that there is something to make stable.
  void appended() { dirty_.store(true, std::memory_order_release); }
  // Answers what waits, syncs once more, ends the thread. Idempotent; nothing
  // may be added afterwards.
  void stop();

 private:
  void run();
  void sync_here(std::vector<Waiting> waiting);
  Result<void> sync_log();
  static void answer(std::vector<Waiting> waiting, const Result<void>& synced);

  MetaLog& log_;
  const std::chrono::milliseconds interval_;
  Histogram& seconds_;
  Counter& failures_;
  std::atomic<bool> dirty_{false};
  SyncPace pace_;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Waiting> waiting_;
  bool syncing_here_ = false;  // somebody other than the thread is at it
  bool stopping_ = false;
  std::thread thread_;  // last: it uses the rest
};

}  // namespace dfs
