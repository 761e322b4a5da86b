// The requests for locks that are answered later, by whoever learns the answer:
// those that wait for somebody to unlock, and those whose answer has to wait
// until the kernel has forgotten what it cached of the file. None keeps a thread.
//
// Bound: each is a call that some program waits in.
// Threads: any.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "common/client/file_system.h"
#include "fuse/request.h"

namespace dfs::fuse {

class Notifier;

class LockWaits : public std::enable_shared_from_this<LockWaits> {
 public:
  // Names a request; never used again.
  using Number = std::uint64_t;

  // `notifier` must outlive close().
  explicit LockWaits(Notifier& notifier) : notifier_(notifier) {}
  // After close().
  ~LockWaits() = default;
  LockWaits(const LockWaits&) = delete;
  LockWaits& operator=(const LockWaits&) = delete;

  // Takes the request over. It is answered by settle(), or by close().
  Number add(Request& request);
  // What ends the wait of the request when its program is sent a signal.
  void waits(Number number, std::shared_ptr<LockWait> wait);
  // The answer. Nothing happens if the request has been answered.
  void settle(Number number, const Result<Locked>& result);
  // Its program was sent a signal.
  void interrupt(Number number);
  // Ends all waits, and those to come: the mount is about to end.
  void end_all();
  // The same. Nothing is answered any more when it returns; no request is added
  // after.
  void close();

 private:
  struct Entry {
    Request::Later reply;
    InodeId inode;
    bool is_ready = false;   // nobody answers it before; add() ends it if need be
    bool is_locked = false;  // only the kernel has yet to forget: it cannot be given up
    std::shared_ptr<LockWait> wait;
    bool given_up = false;
  };

  // Answers it, if nobody has; not concurrently with the end of close().
  void answer(Number number, const Result<void>& result);
  void answer_when_forgotten(Number number);
  void answered();
  void end(Number number);

  Notifier& notifier_;
  std::mutex mutex_;
  std::condition_variable quiet_;
  std::unordered_map<Number, Entry> entries_;
  Number last_ = 0;
  std::size_t answering_ = 0;  // threads that are about to, entries aside
  bool ending_ = false;
};

}  // namespace dfs::fuse
