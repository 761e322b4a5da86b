#include "fuse/notifier.h"

#include <array>
#include <cerrno>
#include <pthread.h>

#include "common/base/log.h"
#include "fuse/kernel_abi.h"

namespace dfs::fuse {
namespace {

template <typename... Kinds>
struct Overloaded : Kinds... {
  using Kinds::operator()...;
};
template <typename... Kinds>
Overloaded(Kinds...) -> Overloaded<Kinds...>;

template <typename Part>
iovec part_of(const Part& part) {
  return {const_cast<Part*>(&part), sizeof part};
}

void send_parts(Device& device, int code, std::span<iovec> parts) {
  fuse_out_header header{};
  header.error = code;  // `unique` 0 makes it a notification, whose code is here
  parts[0] = part_of(header);
  for (const iovec& part : parts) header.len += static_cast<std::uint32_t>(part.iov_len);
  if (device.write(parts) >= 0) return;
  // ENOENT: the kernel does not cache it anyway. ENODEV: unmounted.
  if (errno == ENOENT || errno == ENODEV || errno == ENOTCONN) return;
  log_warn("fuse", "the kernel refused notification {}: {}", code,
           fail_errno(errno, "write").value().text);
}

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
  std::visit(Overloaded{
                 [&](const Inode& what) {
                   fuse_notify_inval_inode_out body{};
                   body.ino = what.inode.value();
                   body.off = what.bytes ? 0 : -1;  // len 0: all from there; before 0: none
                   std::array<iovec, 2> parts{iovec{}, part_of(body)};
                   send_parts(device_, FUSE_NOTIFY_INVAL_INODE, parts);
                   if (what.then) what.then();
                 },
                 [&](const Name& what) {
                   fuse_notify_inval_entry_out body{};
                   body.parent = what.parent.value();
                   body.namelen = static_cast<std::uint32_t>(what.name.size());
                   std::array<iovec, 3> parts{
                       iovec{}, part_of(body),
                       iovec{const_cast<char*>(what.name.c_str()), what.name.size() + 1}};
                   send_parts(device_, FUSE_NOTIFY_INVAL_ENTRY, parts);
                 },
                 [&](const AllNames&) {
                   std::array<iovec, 1> parts{};
                   send_parts(device_, kernel::kNotifyIncrementEpoch, parts);
                 },
             },
             notification);
}

}  // namespace dfs::fuse
