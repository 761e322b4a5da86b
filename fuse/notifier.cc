#include "fuse/notifier.h"

#include <pthread.h>

#include "fuse/notification.h"

namespace dfs::fuse {
namespace {

template <typename... Kinds>
struct Overloaded : Kinds... {
  using Kinds::operator()...;
};
template <typename... Kinds>
Overloaded(Kinds...) -> Overloaded<Kinds...>;

}  // namespace

Notifier::Notifier(Device& device, std::size_t queue_max)
    : device_(device), queue_max_(queue_max), thread_([this] { run(); }) {}

Notifier::~Notifier() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

bool Notifier::invalidate_inode(InodeId inode) { return submit(Inode{inode, {}}); }
bool Notifier::invalidate_attributes(InodeId inode) { return submit(Inode{inode, {}, false}); }
void Notifier::invalidate_inode_then(InodeId inode, std::function<void()> then) {
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back(Inode{inode, std::move(then)});
  }
  wake_.notify_one();
}
bool Notifier::invalidate_entry(InodeId parent, std::string name) {
  return submit(Name{parent, std::move(name)});
}
bool Notifier::invalidate_all_names() { return submit(AllNames{}); }

bool Notifier::submit(Notification notification) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ || queue_.size() >= queue_max_) return false;
    queue_.push_back(std::move(notification));
  }
  wake_.notify_one();
  return true;
}

void Notifier::drain() {
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [&] { return stopping_ || (queue_.empty() && !sending_); });
}

void Notifier::run() {
  pthread_setname_np(pthread_self(), "notify");
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
    if (stopping_) break;
    const Notification next = std::move(queue_.front());
    queue_.pop_front();
    sending_ = true;
    lock.unlock();
    send(next);
    lock.lock();
    sending_ = false;
    idle_.notify_all();
  }
  idle_.notify_all();
}

void Notifier::send(const Notification& notification) {
  const int device = device_.descriptor();
  std::visit(Overloaded{
                 [&](const Inode& what) {
                   if (what.bytes) {
                     notify_pages(device, what.inode, 0, 0);
                   } else {
                     notify_attributes(device, what.inode);
                   }
                   if (what.then) what.then();
                 },
                 [&](const Name& what) { notify_entry(device, what.parent, what.name); },
                 [&](const AllNames&) { notify_all_names(device); },
             },
             notification);
}

}  // namespace dfs::fuse
