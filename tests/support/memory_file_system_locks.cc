// The locks of MemoryFileSystem: those of the real metadata server, in which
// this mount is one session and "elsewhere" another.
#include "tests/support/memory_file_system.h"

namespace dfs {
namespace {

constexpr SessionId kHere{1};
constexpr SessionId kElsewhere{2};

FileLock removing(const FileLock& lock) {
  FileLock end;
  end.family = lock.family;
  end.kind = LockKind::unlocked;
  end.owner = lock.owner;
  return end;
}

}  // namespace

class MemoryFileSystem::Wait final : public LockWait {
 public:
  Wait(MemoryFileSystem& files, std::uint64_t ticket) : files_(files), ticket_(ticket) {}
  void give_up() override { files_.give_up(ticket_); }

 private:
  MemoryFileSystem& files_;
  const std::uint64_t ticket_;
};

Locked MemoryFileSystem::locked_locked(InodeId inode) {
  return {.keep_cache = !std::exchange(nodes_.at(inode).changed_elsewhere, false)};
}

void MemoryFileSystem::settle(std::unique_lock<std::mutex> lock) {
  std::vector<std::pair<LockDone, Locked>> over;
  for (const LockTable::Settled& settled : locks_.take_settled()) {
    auto wait = lock_waits_.extract(settled.ticket);
    if (!wait.empty()) over.emplace_back(std::move(wait.mapped()), locked_locked(settled.inode));
  }
  lock.unlock();
  for (auto& [done, result] : over) done(result);
}

Result<Locked> MemoryFileSystem::set_lock(OpenFile& file, const FileLock& lock,
                                          const CallContext&) {
  std::unique_lock guard(mutex_);
  Open& open = open_of(file);
  nodes_.at(open.inode).was_locked |= lock.family == LockFamily::posix;
  const Result<bool> done = locks_.set(kHere, {open.inode, lock, false, 0});
  if (!done) return fail(done.error());
  if (lock.kind != LockKind::unlocked) open.ends.push_back(removing(lock));
  const Locked result = locked_locked(open.inode);
  settle(std::move(guard));
  return result;
}

std::shared_ptr<LockWait> MemoryFileSystem::wait_for_lock(const OpenFilePtr& file,
                                                          const FileLock& lock, const Caller&,
                                                          LockDone done) {
  std::unique_lock guard(mutex_);
  const std::uint64_t ticket = ++last_ticket_;
  const InodeId inode = open_of(*file).inode;
  open_of(*file).ends.push_back(removing(lock));
  const auto wait = std::make_shared<Wait>(*this, ticket);
  const Result<bool> set = locks_.set(kHere, {inode, lock, true, ticket});
  if (set && !*set) {
    lock_waits_.emplace(ticket, std::move(done));
    lock_waits_changed_.notify_all();
    settle(std::move(guard));
    return wait;
  }
  const Result<Locked> result = set ? Result<Locked>(locked_locked(inode)) : fail(set.error());
  guard.unlock();
  done(result);
  return wait;
}

void MemoryFileSystem::give_up(std::uint64_t ticket) {
  LockDone done;
  {
    const std::lock_guard guard(mutex_);
    if (!locks_.cancel(kHere, ticket)) return;
    done = std::move(lock_waits_.extract(ticket).mapped());
    ++counts_.interrupted;
  }
  done(fail(Errc::interrupted));
}

Result<std::optional<FileLock>> MemoryFileSystem::get_lock(OpenFile& file, const FileLock& lock,
                                                           const CallContext&) {
  const std::lock_guard guard(mutex_);
  return locks_.in_the_way(kHere, {open_of(file).inode, lock}).lock;
}

Result<void> MemoryFileSystem::release_locks(OpenFile& file, std::uint64_t owner,
                                             const CallContext&) {
  std::unique_lock guard(mutex_);
  FileLock own;
  own.owner = owner;
  TRY(locks_.set(kHere, {open_of(file).inode, removing(own), false, 0}));
  settle(std::move(guard));
  return {};
}

bool MemoryFileSystem::lock_elsewhere(InodeId inode, const FileLock& lock) {
  std::unique_lock guard(mutex_);
  const bool done = locks_.set(kElsewhere, {inode, lock, false, 0}).has_value();
  settle(std::move(guard));
  return done;
}

void MemoryFileSystem::wait_for_lock_waits(std::size_t count) {
  std::unique_lock guard(mutex_);
  lock_waits_changed_.wait(guard, [&] { return lock_waits_.size() >= count; });
}

}  // namespace dfs
