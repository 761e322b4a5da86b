#include "fuse/lock_waits.h"

#include <utility>
#include <vector>

#include "fuse/notifier.h"

namespace dfs::fuse {

LockWaits::Number LockWaits::add(Request& request) {
  Number number = 0;
  Entry* entry = nullptr;
  // Not under our lock: libfuse has its own there, and holds it when it interrupts.
  Request::Later reply = request.answer_later();
  {
    const std::lock_guard lock(mutex_);
    number = ++last_;
    entry = &entries_[number];
    entry->inode = request.inode();
    entry->reply = std::move(reply);
  }
  entry->reply.on_interrupt(number);  // perhaps at once: the signal may have come already
  bool ending = false;
  {
    const std::lock_guard lock(mutex_);
    entry->is_ready = true;
    ending = ending_;
  }
  if (ending) end(number);
  return number;
}

void LockWaits::waits(Number number, std::shared_ptr<LockWait> wait) {
  {
    const std::lock_guard lock(mutex_);
    const auto entry = entries_.find(number);
    if (entry != entries_.end() && !entry->second.given_up) {
      entry->second.wait = std::move(wait);
      return;
    }
  }
  wait->give_up();  // or it is over, and nothing happens
}

void LockWaits::interrupt(Number number) {
  std::shared_ptr<LockWait> wait;
  {
    const std::lock_guard lock(mutex_);
    const auto entry = entries_.find(number);
    if (entry == entries_.end() || entry->second.is_locked) return;
    entry->second.given_up = true;
    wait = entry->second.wait;
  }
  if (wait != nullptr) wait->give_up();
}

void LockWaits::end_all() {
  std::vector<Number> all;
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    for (const auto& [number, entry] : entries_) all.push_back(number);
  }
  for (const Number number : all) end(number);
}

// Not as interrupted: without a signal the kernel shows ERESTARTSYS to programs.
void LockWaits::end(Number number) {
  std::shared_ptr<LockWait> wait;
  {
    const std::lock_guard lock(mutex_);
    const auto entry = entries_.find(number);
    if (entry == entries_.end() || !entry->second.is_ready) return;
    wait = entry->second.wait;
  }
  answer(number, fail(Errc::unavailable, "the mount ends"));
  if (wait != nullptr) wait->give_up();
}

void LockWaits::settle(Number number, const Result<Locked>& result) {
  if (!result) return answer(number, fail(result.error()));
  if (result->keep_cache) return answer(number, {});
  answer_when_forgotten(number);
}

void LockWaits::answer_when_forgotten(Number number) {
  InodeId inode;
  {
    const std::lock_guard lock(mutex_);
    const auto entry = entries_.find(number);
    if (entry == entries_.end()) return;
    entry->second.is_locked = true;
    inode = entry->second.inode;
    ++answering_;
  }
  notifier_.invalidate_inode_then(
      inode, [self = shared_from_this(), number] { self->answer(number, {}); });
  answered();
}

void LockWaits::answered() {
  const std::lock_guard lock(mutex_);
  if (--answering_ == 0) quiet_.notify_all();
}

void LockWaits::answer(Number number, const Result<void>& result) {
  Entry entry;
  {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(number);
    if (found == entries_.end()) return;
    entry = std::move(found->second);
    entries_.erase(found);
    ++answering_;
  }
  entry.reply.send(result);
  answered();
}

void LockWaits::close() {
  end_all();
  std::unique_lock lock(mutex_);
  quiet_.wait(lock, [this] { return answering_ == 0; });
}

}  // namespace dfs::fuse
