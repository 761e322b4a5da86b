#include "server/meta/core/group_sync.h"

#include <pthread.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "common/base/log.h"

namespace dfs {

GroupSync::GroupSync(MetaLog& log, std::chrono::milliseconds interval)
    : log_(log),
      interval_(interval),
      seconds_(metrics().histogram("dfs_meta_sync_seconds", "Time to make the log stable.",
                                   {0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 1})),
      failures_(metrics().counter("dfs_meta_sync_failures_total", "Syncs of the log that failed.")),
      thread_([this] { run(); }) {
  ::pthread_setname_np(thread_.native_handle(), "meta-sync");
}

GroupSync::~GroupSync() { stop(); }

void GroupSync::answer_when_stable(std::vector<Waiting> waiting) {
  bool was_empty = false;
  bool here = false;
  {
    const std::lock_guard lock(mutex_);
    was_empty = waiting_.empty();
    here = was_empty && !syncing_here_ && pace_.is_quick();
    if (here) {
      syncing_here_ = true;
    } else {
      std::move(waiting.begin(), waiting.end(), std::back_inserter(waiting_));
    }
  }
  if (here) return sync_here(std::move(waiting));
  if (was_empty) wake_.notify_one();
}

void GroupSync::sync_here(std::vector<Waiting> waiting) {
  dirty_.store(false, std::memory_order_release);
  answer(std::move(waiting), sync_log());
  bool more = false;
  {
    const std::lock_guard lock(mutex_);
    syncing_here_ = false;
    more = !waiting_.empty();
  }
  if (more) wake_.notify_one();
}

void GroupSync::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void GroupSync::run() {
  while (true) {
    std::vector<Waiting> waiting;
    bool stopping = false;
    {
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, interval_,
                     [this] { return stopping_ || (!waiting_.empty() && !syncing_here_); });
      waiting.swap(waiting_);
      stopping = stopping_;
    }
    // Whoever waits may wait for what an earlier sync failed to make stable,
    // so `dirty_` does not excuse from syncing for them.
    const bool dirty = dirty_.exchange(false, std::memory_order_acq_rel);
    if (dirty || !waiting.empty()) answer(std::move(waiting), sync_log());
    if (stopping) return;
  }
}

Result<void> GroupSync::sync_log() {
  const auto start = std::chrono::steady_clock::now();
  const Result<void> synced = log_.sync();
  const auto took = std::chrono::steady_clock::now() - start;
  pace_.took(took);
  seconds_.observe(std::chrono::duration<double>(took).count());
  if (!synced) {
    dirty_.store(true, std::memory_order_release);
    failures_.add();
    log_error("core", "the log could not be made stable: {}", synced.error().to_string());
  }
  return synced;
}

void GroupSync::answer(std::vector<Waiting> waiting, const Result<void>& synced) {
  std::size_t next = 0;
  while (next < waiting.size()) {
    if (waiting[next].job != nullptr) {
      waiting[next++].job->answer(synced);
      continue;
    }
    const std::shared_ptr<ReplySink> sink = waiting[next].sink;
    std::vector<CoreReply> replies;
    for (; next < waiting.size() && waiting[next].job == nullptr && waiting[next].sink == sink; ++next) {
      CoreReply& reply = waiting[next].reply;
      if (!synced) reply.result = fail(synced.error());
      replies.push_back(std::move(reply));
    }
    sink->deliver(std::move(replies));
  }
}

}  // namespace dfs
