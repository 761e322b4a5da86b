// Tells the kernel to forget what it caches.
//
// A notification may wait for a lock that a request in work holds, so it is
// never sent by a thread that serves requests: they are queued, and one thread
// of its own sends them in order.
//
// Threads: any.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <variant>

#include "common/base/ids.h"
#include "fuse/device.h"

namespace dfs::fuse {

class Notifier {
 public:
  // `device` must outlive it.
  Notifier(Device& device, std::size_t queue_max);
  // Sends nothing more.
  ~Notifier();
  Notifier(const Notifier&) = delete;
  Notifier& operator=(const Notifier&) = delete;

  // Each returns false, and nothing happens, when the queue is full.

  // Attributes and all cached bytes of the file.
  [[nodiscard]] bool invalidate_inode(InodeId inode);
  // Attributes alone.
  [[nodiscard]] bool invalidate_attributes(InodeId inode);
  // As invalidate_inode(), and calls `then` from the notifier's thread, unless it ends
  // before. Never refused: whoever waits for `then` is bounded himself.
  void invalidate_inode_then(InodeId inode, std::function<void()> then);
  // One name, also if it was known to be absent.
  [[nodiscard]] bool invalidate_entry(InodeId parent, std::string name);
  // Every name is asked for again; takes no lock in the kernel. Linux 6.16;
  // older kernels answer with an error that is logged.
  [[nodiscard]] bool invalidate_all_names();

  // Returns when everything queued before has been sent.
  void drain();

 private:
  struct Inode {
    InodeId inode;
    std::function<void()> then;
    bool bytes = true;
  };
  struct Name {
    InodeId parent;
    std::string name;
  };
  struct AllNames {};
  using Notification = std::variant<Inode, Name, AllNames>;

  bool submit(Notification notification);
  void run();
  void send(const Notification& notification);

  Device& device_;
  const std::size_t queue_max_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable idle_;
  std::deque<Notification> queue_;
  bool sending_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace dfs::fuse
