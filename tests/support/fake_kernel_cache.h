// A kernel's memory of a mount, as the engine sees it: what it was made to forget,
// and what it was shown.
// As a kernel does, it waits for locked pages before it forgets them.
//
// Threads: any.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include "common/client/kernel_cache.h"

namespace dfs {

class FakeKernelCache final : public KernelCache {
 public:
  enum class What { attributes, names, pages, stored };
  struct Event {
    What what;
    InodeId inode;
    FileRange range;

    friend bool operator==(const Event&, const Event&) = default;
  };

  void forget_attributes(InodeId inode) override { forget({What::attributes, inode, {}}); }
  void forget_names() override { forget({What::names, {}, {}}); }
  void forget_pages(InodeId inode, const FileRange& range) override {
    forget({What::pages, inode, range});
  }
  void store(InodeId inode, std::uint64_t offset, BufferView bytes) override {
    forget({What::stored, inode, {offset, bytes.size()}});
  }

  // A request is about these pages.
  void lock(InodeId inode, const FileRange& range) {
    const std::lock_guard guard(mutex_);
    locked_.emplace_back(inode, range);
  }
  void unlock_all() {
    const std::lock_guard guard(mutex_);
    locked_.clear();
    changed_.notify_all();
  }
  // Called before something is forgotten.
  void watch(std::function<void(const Event&)> watcher) {
    const std::lock_guard guard(mutex_);
    watcher_ = std::move(watcher);
  }
  // What has been forgotten since the last time.
  std::vector<Event> take_events() {
    const std::lock_guard guard(mutex_);
    return std::exchange(events_, {});
  }
  // Whether it has begun to, or does so soon.
  bool begins(const Event& event) { return await(begun_, event); }
  std::ptrdiff_t times_begun(const Event& event) {
    const std::lock_guard guard(mutex_);
    return std::count(begun_.begin(), begun_.end(), event);
  }
  // Whether it has been forgotten, or is soon.
  bool forgets(const Event& event) { return await(events_, event); }

 private:
  bool await(const std::vector<Event>& list, const Event& event) {
    std::unique_lock guard(mutex_);
    return changed_.wait_for(guard, std::chrono::seconds(5), [&] {
      return std::find(list.begin(), list.end(), event) != list.end();
    });
  }
  void forget(const Event& event) {
    std::unique_lock guard(mutex_);
    begun_.push_back(event);
    changed_.notify_all();
    if (const auto watcher = watcher_) {
      guard.unlock();
      watcher(event);
      guard.lock();
    }
    changed_.wait_for(guard, std::chrono::seconds(20), [&] { return !is_locked(event); });
    events_.push_back(event);
    changed_.notify_all();
  }
  bool is_locked(const Event& event) const {
    if (event.what != What::pages) return false;
    return std::any_of(locked_.begin(), locked_.end(), [&](const auto& each) {
      const auto& [inode, range] = each;
      return inode == event.inode && range.offset < event.range.offset + event.range.length &&
             event.range.offset < range.offset + range.length;
    });
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::pair<InodeId, FileRange>> locked_;
  std::function<void(const Event&)> watcher_;
  std::vector<Event> begun_;
  std::vector<Event> events_;
};

}  // namespace dfs
